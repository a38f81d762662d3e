"""Drives the public client of TqSdk against our test server, and compares what it got with what our client got.

    python3 -m venv /tmp/tq && /tmp/tq/bin/pip install tqsdk
    cargo build --release -p ghtrader-provider --features server --examples
    cd tasks/provider/tests/oracle
    /tmp/tq/bin/python check.py ../../../../target/release/examples/tq-server market.yaml

It starts the server with all ticks there (history: DataDownloader and get_tick_serial), again with faults that are no errors
of the protocol, and with ticks that come live (get_quote, and a get_tick_serial that follows). What the client says is
compared with the server's own list of ticks, which `--dump` writes.
"""

import csv
import math
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import datetime

SERVER, MARKET = sys.argv[1], sys.argv[2]
CONTRACT = "SHFE.cu2403"
COLUMNS = ["last_price", "highest", "lowest", "volume", "amount", "open_interest"] + [
    f"{side}_{what}{level}" for level in range(1, 6) for side in ("bid", "ask") for what in ("price", "volume")
]


def start(*arguments):
    process = subprocess.Popen([SERVER, MARKET, "cu", *arguments], stdout=subprocess.PIPE, text=True)
    address, user, password = process.stdout.readline().split()
    return process, address, user, password


def api_of(address, user, password):
    os.environ["TQ_AUTH_URL"] = address
    os.environ["TQ_INS_URL"] = f"{address}/t/md/symbols/latest.json"
    os.environ["TQ_CHINESE_HOLIDAY_URL"] = f"{address}/shinny_chinese_holiday.json"
    os.environ["TQ_MD_URL"] = address.replace("http", "ws") + "/t/md/front/mobile"
    from tqsdk import TqApi, TqAuth

    return TqApi(auth=TqAuth(user, password), _stock=False, disable_print=True)


def number(value):
    return math.nan if value in ("", "#N/A", None) else float(value)


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


def dump(days):
    """The server's own ticks: id, stamp, values."""
    text = subprocess.run([SERVER, MARKET, "cu", days, "--dump", CONTRACT], capture_output=True, text=True, check=True).stdout
    rows = list(csv.DictReader(text.splitlines()))
    return [(int(row["id"]), int(row["datetime_nano"]), [number(row[name]) for name in COLUMNS]) for row in rows]


def compare(what, got, expected):
    assert len(got) == len(expected), f"{what}: {len(got)} ticks, not {len(expected)}"
    for mine, theirs in zip(got, expected):
        assert mine[:2] == theirs[:2], f"{what}: {mine[:2]} is not {theirs[:2]}"
        for name, a, b in zip(COLUMNS, mine[2], theirs[2]):
            assert same(a, b), f"{what}: {name} of {mine[0]}: {a} is not {b}"
    print(f"{what}: {len(got)} ticks, {len(got) * len(COLUMNS)} values, all the same")


def serial_rows(frame):
    return [(int(row["id"]), int(row["datetime"]), [float(row[name]) for name in COLUMNS]) for _, row in frame.iterrows()]


def as_client(rows):
    # Its frame has stamps as doubles, and an absent volume as 0: as its prototype of a tick has it.
    whole = [name == "volume" or name == "open_interest" or "_volume" in name for name in COLUMNS]
    fix = lambda values: [0.0 if w and math.isnan(v) else v for w, v in zip(whole, values)]
    return [(id, int(float(ns)), fix(values)) for id, ns, values in rows]


def rounded(values):
    # It rounds prices to the decimals of the contract; the invented market has a few prices between two ticks.
    prices = [name in ("last_price", "highest", "lowest") or "_price" in name for name in COLUMNS]
    return [round(v, 0) if price and not math.isnan(v) else v for price, v in zip(prices, values)]


def history(faults=()):
    process, address, user, password = start("3", *faults)
    rows = dump("3")
    try:
        with closing(api_of(address, user, password)) as api:
            serial = api.get_tick_serial(CONTRACT, 3000)
            compare(f"get_tick_serial {faults}", serial_rows(serial), as_client(rows[-3000:]))
            from tqsdk.tools import DataDownloader

            with tempfile.TemporaryDirectory() as folder:
                path = f"{folder}/ticks.csv"
                begin, end = datetime(2024, 1, 29, 18), datetime(2024, 1, 30, 18)
                task = DataDownloader(api, CONTRACT, 0, begin, end, path)
                while not task.is_finished():
                    api.wait_update(deadline=time.time() + 30)
                with open(path, newline="") as file:
                    got = list(csv.DictReader(file))
            from_ns, to_ns = 1706522400_000000000, 1706608800_000000000
            got = [(int(row["datetime_nano"]), [number(row[f"{CONTRACT}.{name}"]) for name in COLUMNS]) for row in got]
            # It begins with the tick that the service focuses on, the last one before the moment.
            got = [row for row in got if row[0] >= from_ns]
            expected = [row for row in rows if from_ns <= row[1] <= to_ns]
            compare(
                f"DataDownloader {faults}",
                [(id, *row) for (id, _, _), row in zip(expected, got, strict=True)],
                [(id, ns, rounded(values)) for id, ns, values in expected],
            )
    finally:
        process.kill()


def live():
    process, address, user, password = start("1", "--play", "200")
    rows = {id: (id, ns, values) for id, ns, values in dump("1")}
    try:
        with closing(api_of(address, user, password)) as api:
            quote = api.get_quote(CONTRACT)
            serial = api.get_tick_serial(CONTRACT, 200)
            seen, quotes, deadline = {}, 0, time.time() + 10
            by_stamp = {}
            for id, ns, values in rows.values():
                by_stamp.setdefault(ns // 1000, []).append(values)
            while time.time() < deadline and len(seen) < 900:
                api.wait_update(deadline=deadline)
                seen.update((row[0], row) for row in serial_rows(serial))
                if quote.datetime:
                    stamp = datetime.strptime(quote.datetime + "+0800", "%Y-%m-%d %H:%M:%S.%f%z")
                    micros = round(stamp.timestamp() * 1_000_000)
                    values = [float(quote[name]) for name in COLUMNS]
                    matching = as_client([(0, 0, row) for row in by_stamp[micros]])
                    assert any(all(map(same, values, row[2])) for row in matching), f"the quote of {quote.datetime} is no tick"
                    quotes += 1
            ids = sorted(seen)
            assert ids == list(range(ids[0], ids[-1] + 1)), "a gap"
            compare("live get_tick_serial", [seen[id] for id in ids], as_client([rows[id] for id in ids]))
            print(f"live get_quote: {quotes} states, each of them a tick of the series")
    finally:
        process.kill()


def wrong_password():
    process, address, user, _ = start("1")
    try:
        api_of(address, user, "wrong")
        raise SystemExit("a wrong password was accepted")
    except Exception as error:
        assert "401" in str(error), error
        print("wrong password: refused")
    finally:
        process.kill()


if __name__ == "__main__":
    import tqsdk

    print("tqsdk", tqsdk.__version__)
    history()
    for faults in (["--partial"], ["--twice", "--shuffled", "--texts"], ["--after-moment"], ["--open-end"]):
        history(faults)
    live()
    wrong_password()
