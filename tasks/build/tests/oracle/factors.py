"""Every factor and label of `build` computed a second time with numpy and pandas, on an invented book.

Run: python factors.py > factors.json   (numpy 2.4, pandas 3.0)

Two trading days of one segment, five levels, with missing sides and levels, rows outside the sessions, a row without a
last price. Whole columns at a time, with rolling sums, shifts and polyfit: nothing is shared with the Rust code but the
formulas in the README.
"""

import json

import numpy as np
import pandas as pd

TICK, MULTIPLIER, LEVELS = 10, 5, 5
WINDOWS, HORIZONS, DECAY = [1, 3, 12], [2, 7], 0.5
SESSIONS = [(21.0, 25.0), (33.0, 34.25), (34.5, 35.5), (37.5, 39.0)]  # hours since the evening's midnight


def invent(rng):
    rows = []
    for day, date in [("2022-02-17", "2022-02-17"), ("2022-02-18", "2022-02-18")]:
        mid, volume, amount = 7150, 1000, 1000 * 71500 * MULTIPLIER
        # 08:59:00 and 15:01:00 lie outside the sessions; the rest runs over the break at 10:15.
        start = pd.Timestamp(f"{date}T10:14:30+08:00")
        stamps = [pd.Timestamp(f"{date}T08:59:00+08:00")]
        stamps += [start + pd.Timedelta(milliseconds=500 * i) for i in range(30)]
        stamps += [pd.Timestamp(f"{date}T10:30:00+08:00") + pd.Timedelta(milliseconds=500 * i) for i in range(30)]
        stamps += [pd.Timestamp(f"{date}T15:01:00+08:00")]
        for stamp in stamps:
            mid += int(rng.integers(-2, 3)) * int(rng.random() < 0.6)
            spread = 1 + int(rng.random() < 0.3)
            row = {"day": day, "ns": stamp.value, "last": (mid + int(rng.integers(-1, 3))) * TICK}
            traded = int(rng.integers(0, 8)) * int(rng.random() < 0.7)
            volume, amount = volume + traded, amount + traded * row["last"] * MULTIPLIER
            row |= {"volume": volume, "amount": amount}
            for level in range(1, LEVELS + 1):
                row[f"b{level}"], row[f"B{level}"] = (mid - level + 1) * TICK, int(rng.integers(0, 40))
                row[f"a{level}"], row[f"A{level}"] = (mid + spread + level - 1) * TICK, int(rng.integers(0, 40))
            gone = rng.random()
            if gone < 0.05:
                row |= {f"{side}{level}": None for side in "bB" for level in range(1, LEVELS + 1)}
            elif gone < 0.12:
                row |= {f"{side}{level}": None for side in "aA" for level in range(3, LEVELS + 1)}
            elif gone < 0.15:
                row["last"] = None
            rows.append(row)
    return pd.DataFrame(rows)


def hour(ns):
    local = pd.Timestamp(ns, tz="UTC").tz_convert("Asia/Shanghai")
    h = local.hour + local.minute / 60 + (local.second + local.microsecond / 1e6) / 3600
    return h + 24 if h < 18 else h


def session(ns):
    h, passed, total = hour(ns), 0.0, sum(close - begin for begin, close in SESSIONS)
    for begin, close in SESSIONS:
        if begin <= h <= close:
            return (passed + h - begin) / total, (h - begin) * 3600, (close - h) * 3600
        passed += close - begin
    return None


def windowed(values, first, full=False):
    """Sum over w transitions, missing ones passed over (full: none may be missing); `first` has none before it."""
    out = {}
    inner = values.iloc[1:]
    for w in WINDOWS:
        sums = inner.rolling(w, min_periods=w if full else 1).sum()
        sums[np.arange(1, len(inner) + 1) < w] = np.nan
        out[w] = pd.concat([values.iloc[:1] * np.nan, sums])
    return out


def ofi(q, level):
    b, B, a, A = (q[f"{c}{level}"] for c in "bBaA")
    pb, pB, pa, pA = b.shift(), B.shift(), a.shift(), A.shift()
    bid = B * (b >= pb) - pB * (b <= pb)
    ask = A * (a <= pa) - pA * (a >= pa)
    bid[b.isna() | pb.isna()] = 0.0
    ask[a.isna() | pa.isna()] = 0.0
    return bid - ask


def slope(row, price, size, mid):
    levels = [l for l in range(1, LEVELS + 1) if not np.isnan(row[f"{price}{l}"])]
    if len(levels) < 2 or np.isnan(mid):
        return np.nan
    x = [abs(row[f"{price}{l}"] - mid) / TICK for l in levels]
    y = np.cumsum([row[f"{size}{l}"] for l in levels])
    return np.polyfit(x, y, 1)[0]


def factors(q):
    out, mid = {}, (q.b1 + q.a1) / 2
    out["spread"], out["mid"] = (q.a1 - q.b1) / TICK, mid
    total = q.B1 + q.A1
    micro = ((q.B1 * q.a1 + q.A1 * q.b1) / total).where(total > 0, mid)
    out["microprice"], out["microprice_gap"] = micro, (micro - mid) / TICK
    part, whole = 0.0, 0.0
    for l in range(1, LEVELS + 1):
        B, A = q[f"B{l}"], q[f"A{l}"]
        out[f"imbalance_{l}"] = ((B - A) / (B + A)).where(B + A != 0, (B - A) * 0)
        there = B.notna() & A.notna()
        part = part + (DECAY ** (l - 1) * (B - A)).where(there, 0.0)
        whole = whole + (DECAY ** (l - 1) * (B + A)).where(there, 0.0)
    out["imbalance_weighted"] = (part / whole).where(q.b1.notna() & q.a1.notna())
    for l in (1, 5):
        for side, name in (("B", "bid"), ("A", "ask")):
            out[f"depth_{name}_{l}"] = q[[f"{side}{j}" for j in range(1, l + 1)]].sum(axis=1, min_count=1)
    out["slope_bid"] = pd.Series([slope(r, "b", "B", m) for (_, r), m in zip(q.iterrows(), mid)], index=q.index)
    out["slope_ask"] = pd.Series([slope(r, "a", "A", m) for (_, r), m in zip(q.iterrows(), mid)], index=q.index)
    out["one_sided"] = (q.b1.isna() | q.a1.isna()).astype(float)
    for l in range(1, LEVELS + 1):
        for w, values in windowed(ofi(q, l), q).items():
            out[f"ofi_{w}" if l == 1 else f"mlofi_{l}_{w}"] = values
    for w in WINDOWS:
        out[f"return_{w}"] = np.log(mid / mid.shift(w))
    for w, values in windowed(np.log(mid / mid.shift()) ** 2, q).items():
        out[f"volatility_{w}"] = np.sqrt(values)
    same = q.day == q.day.shift()
    lots, money = q.volume.diff().where(same), q.amount.diff().where(same)
    out["vwap_day"] = (mid - q.amount / q.volume / MULTIPLIER) / TICK
    above = np.sign(q["last"] - mid.shift()).fillna(0)
    rule = np.sign(q["last"] - q["last"].shift()).fillna(0)
    sign = above.where(above != 0, rule).where(q["last"].notna())
    signed = sign * lots
    sums = {"lots": lots, "money": money, "signed": signed, "known": lots.where(signed.notna())}
    sums = {name: windowed(values, q) for name, values in sums.items()}
    for w in WINDOWS:
        out[f"volume_{w}"] = sums["lots"][w]
        vwap = sums["money"][w] / sums["lots"][w].where(sums["lots"][w] > 0) / MULTIPLIER
        out[f"vwap_{w}"] = (mid - vwap) / TICK
        known = sums["known"][w]
        out[f"trade_imbalance_{w}"] = (sums["signed"][w] / known).where(known != 0, 0.0).where(known.notna())
        out[f"interval_{w}"] = (q.ns - q.ns.shift(w)) / w / 1e6
    places = [session(ns) for ns in q.ns]
    for i, name in enumerate(["session_elapsed", "session_since_open", "session_to_close"]):
        out[name] = pd.Series([place[i] for place in places], index=q.index)
    return pd.DataFrame(out)


def labels(q):
    half, out = ((q.b1 + q.a1) / TICK).round(), {}
    for n in HORIZONS:
        change = half.shift(-n) - half
        out[str(n)] = [None if np.isnan(c) else int(c >= 2) - int(c <= -2) for c in change]
    return out


def cells(frame):
    return [[None if pd.isna(v) else float(v) for v in row] for row in frame.itertuples(index=False)]


def main():
    rows = invent(np.random.default_rng(42))
    numbers = rows.drop(columns=["day"]).astype({c: float for c in rows.columns if c not in ("day", "ns")})
    numbers.insert(0, "day", rows.day)
    events = numbers[[session(ns) is not None for ns in numbers.ns]]
    features = factors(events).reindex(rows.index)
    marked = labels(events)
    full = {n: pd.Series(v, index=events.index, dtype=object).reindex(rows.index) for n, v in marked.items()}
    print(json.dumps({
        "days": list(rows.day), "ns": list(rows.ns.astype(int)),
        "columns": list(rows.columns[2:]), "rows": cells(rows.drop(columns=["day", "ns"])),
        "features": list(features.columns), "values": cells(features),
        "labels": {n: [None if pd.isna(v) else int(v) for v in values] for n, values in full.items()},
    }, separators=(",", ":"), default=int))


main()
