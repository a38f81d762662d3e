"""Numbers that the models of this crate are checked against, by scikit-learn and the official LightGBM package.

Run with: python tests/oracle/make.py (numpy, scikit-learn, lightgbm; the versions are stored with the numbers).
The data are drawn by splitmix64 with exact arithmetic only, so that Rust has the same bits.
"""

import json
import pathlib

import lightgbm as lgb
import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

ROWS, MASK = 800, (1 << 64) - 1


def uniforms(seed):
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield ((z ^ (z >> 31)) >> 11) * 2.0**-53


def data(seed):
    draw = uniforms(seed)
    x, y = np.empty((ROWS, 4)), np.empty(ROWS, dtype=int)
    for i in range(ROWS):
        for j in range(4):
            x[i, j] = np.floor(next(draw) * 256) / 16
        score = x[i, 0] - x[i, 1] + 16 * next(draw) - 8
        y[i] = 0 if score < -4 else 2 if score > 4 else 1
        if next(draw) < 0.1:
            x[i, 3] = np.nan
    return x, y


x, y = data(11)
mean, deviation = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
scaled = np.nan_to_num((x - mean) / deviation, nan=0.0)
l2 = 1e-3
logistic = LogisticRegression(C=1 / (l2 * ROWS), tol=1e-12, max_iter=10_000).fit(scaled, y)
p = logistic.predict_proba(scaled)

parameters = {
    "objective": "multiclass", "num_class": 3, "deterministic": True, "force_row_wise": True, "verbosity": -1,
    "num_leaves": 7, "learning_rate": 0.1, "min_data_in_leaf": 20, "lambda_l2": 1.0, "feature_fraction": 0.8,
    "max_bin": 15, "feature_pre_filter": False, "seed": 3, "num_threads": 1,
}
names = ["a", "b", "c", "d"]
booster = lgb.train(parameters, lgb.Dataset(x, y, feature_name=names), num_boost_round=8)
text = booster.model_to_string()
trees = text[text.index("Tree=0"):text.index("end of trees")]

out = {
    "versions": {"numpy": np.__version__, "scikit-learn": sklearn.__version__, "lightgbm": lgb.__version__},
    "rows": ROWS, "seed": 11, "class_counts": np.bincount(y).tolist(),
    "logistic": {
        "l2": l2, "coefficients": logistic.coef_.tolist(), "intercepts": logistic.intercept_.tolist(),
        "logloss": log_loss(y, p), "first": p[:5].tolist(),
    },
    "lightgbm": {
        "split_feature": [line.split("=")[1] for line in trees.splitlines() if line.startswith("split_feature=")],
        "threshold": [line.split("=")[1] for line in trees.splitlines() if line.startswith("threshold=")],
        "logloss": log_loss(y, booster.predict(x)), "first": booster.predict(x[:20]).tolist(),
    },
}
pathlib.Path(__file__).with_name("models.json").write_text(json.dumps(out, indent=1) + "\n")
