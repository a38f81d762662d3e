"""CSV to canonical Parquet: kind `ingest`, with all its checks, beside what polars and pandas do without any."""

import json
from pathlib import Path

from kinds import VARIABLE
from market import Market, ingest
from work import Run, Setting, empty, script

PART = "ingest"


def runs(setting: Setting) -> list[Run]:
    busy = setting.busy
    source = busy.source(busy.days, "csv")
    return [run for cores in setting.cores for run in beside(setting, PART, f"{cores}", busy, busy.days, source, cores)]


def beside(
    setting: Setting, part: str, case: str, market: Market, days: int, source: Path, cores: int, pandas: bool = True
) -> list[Run]:
    """Ours and the peers on one source."""
    rows = market.total(days)
    out = setting.folder / "out"
    all_runs = [ours(setting, part, case, market, rows, source, cores)]
    for peer in ("polars", "pandas") if pandas else ("polars",):
        argv = script(setting, peer, source.suffix[1:], source, out / "all.parquet")
        all_runs.append(Run(part, case, peer, rows, cores, argv, lambda: empty(out)))
    return all_runs


def ours(setting: Setting, part: str, case: str, market: Market, rows: int, source: Path, cores: int) -> Run:
    folder = setting.folder / "task"
    folder.mkdir(exist_ok=True)
    cell = folder / "cell.json"
    cell.write_text(json.dumps({"file": source.name, "synthetic": None}))
    task = ingest(folder, {"cell": cell, "spec": market.spec, "ticks": source}, source.name, cores)
    env = {VARIABLE: str(folder / "request.json")}
    return Run(part, case, "ghtrader", rows, cores, [str(setting.tasks), "run"], task.write, env)
