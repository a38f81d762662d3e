"""What there is to learn in the default synthetic market: accuracy of a gradient-boosted model and of a logistic
regression against the majority class, per variety and horizon, on days that the models have not seen.

    GHTRADER_DUMP=/tmp/market cargo test --release -p ghtrader-ingest --test main -- --ignored dump
    python3 edge.py /tmp/market          # numpy, pandas, pyarrow, scikit-learn, lightgbm

Labels: mid in half-ticks, up or down where it moves by one tick or more (inclusive) in N rows of the same day.
Train: the main contract's days up to the eighth, without the last N rows; test: the later days.
"""

import pathlib
import sys

import lightgbm
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

TICKS = {"cu": 10.0, "au": 0.02, "ag": 1.0}


def features(day, tick):
    bid, ask = day.bid_price1, day.ask_price1
    out = {"spread": (ask - bid) / tick}
    mid = (bid + ask) / 2 / tick
    for level in range(1, 6):
        b, a = day[f"bid_volume{level}"], day[f"ask_volume{level}"]
        out[f"imbalance{level}"] = (b - a) / (b + a)
    b = day[[f"bid_volume{level}" for level in range(1, 6)]].sum(axis=1)
    a = day[[f"ask_volume{level}" for level in range(1, 6)]].sum(axis=1)
    out["imbalance"] = (b - a) / (b + a)
    for name in ["imbalance1", "imbalance"]:
        for span in [5, 20, 60]:
            out[f"{name}_{span}"] = out[name].ewm(span=span).mean()
    for rows in [1, 5, 20, 50, 200]:
        out[f"return{rows}"] = mid.diff(rows)
    return pd.DataFrame(out).fillna(0.0)


def label(day, tick, rows):
    half = np.rint((day.bid_price1 + day.ask_price1) / tick)
    move = half.shift(-rows) - half
    return (1 + (move >= 2).astype(int) - (move <= -2).astype(int)).where(move.notna())


def main(folder):
    print("variety horizon  floor logistic lightgbm   down  flat  up")
    for variety, tick in TICKS.items():
        days = {}
        for file in sorted(pathlib.Path(folder).glob(f"SHFE.{variety}*/*.parquet")):
            day = pd.read_parquet(file)
            if file.stem not in days or days[file.stem].open_interest.iloc[-1] < day.open_interest.iloc[-1]:
                days[file.stem] = day
        names = sorted(days)
        for rows in [10, 50, 200]:
            parts = []
            for part in (names[:8], names[8:]):
                x = pd.concat([features(days[name], tick) for name in part])
                y = pd.concat([label(days[name], tick, rows) for name in part])
                keep = y.notna().to_numpy()
                parts += [x.to_numpy()[keep], y.to_numpy()[keep].astype(int)]
            x, y, x_test, y_test = parts
            scale = StandardScaler().fit(x)
            linear = LogisticRegression(max_iter=300).fit(scale.transform(x), y)
            tree = lightgbm.LGBMClassifier(
                n_estimators=80, num_leaves=15, learning_rate=0.05, min_child_samples=200, seed=1, verbose=-1, n_jobs=1
            ).fit(x, y)
            floor = np.bincount(y_test).max() / len(y_test)
            shares = np.bincount(y_test, minlength=3) / len(y_test)
            scores = [linear.score(scale.transform(x_test), y_test), tree.score(x_test, y_test)]
            print(f"{variety:7} {rows:7} {floor:6.3f} {scores[0]:8.3f} {scores[1]:8.3f}  " + " ".join(f"{s:5.2f}" for s in shares))


if __name__ == "__main__":
    main(sys.argv[1])
