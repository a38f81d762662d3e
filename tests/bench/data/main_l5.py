"""The main series of every day of a year: kind `main-l5`, a process for each day, which reads back what it wrote, beside one
polars process that filters the day's contracts, adds the columns and writes."""

import json
from collections.abc import Iterable

from kinds import VARIABLE, Task
from market import VARIETY
from work import Run, Setting, empty, script

PART = "main_l5"


def runs(setting: Setting) -> list[Run]:
    entries = dict(schedule(setting))
    year = setting.year
    rows = sum(max(row["rows"] for row in index["rows"]) for index in year.indexes.values())
    days = [
        {"day": day, "folder": str(year.ticks(day)), "entry": entry, "out": f"{day}.parquet"}
        for day, entry in entries.items()
    ]
    listed = setting.folder / "days.json"
    listed.write_text(json.dumps(days))
    out = setting.folder / "out"
    all_runs = []
    for cores in setting.cores:
        tasks = [task(setting, day, entry, cores) for day, entry in entries.items()]
        words = f"exec env {VARIABLE}=$0 {setting.tasks} run"
        argv = ["xargs", "-a", str(requests(setting, tasks)), "-P", str(cores), "-n", "1", "sh", "-c", words]
        prepare = lambda tasks=tasks: [task.write() for task in tasks]  # noqa: E731
        all_runs.append(Run(PART, f"{cores}", "ghtrader", rows, cores, argv, prepare, {"RAYON_NUM_THREADS": "1"}))
        argv = script(setting, "polars", "main", listed, out)
        all_runs.append(Run(PART, f"{cores}", "polars", rows, cores, argv, lambda: empty(out)))
    return all_runs


def schedule(setting: Setting) -> Iterable[tuple[str, dict]]:
    """The day's contract with the most rows: which one it is makes no difference here."""
    segment, previous, before = -1, None, None
    for day, index in setting.year.indexes.items():
        contract = max(index["rows"], key=lambda row: row["rows"])["contract"]
        segment += contract != before
        entry = {"contract": contract, "cell": day, "segment": segment, "hash": f"{segment:064x}", "flags": []}
        yield day, {**entry, "previous": previous if contract == before else None}
        previous, before = day, contract


def task(setting: Setting, day: str, entry: dict, cores: int) -> Task:
    folder = setting.folder / "days" / day
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "entry.json").write_text(json.dumps(entry))
    ticks = setting.year.ticks(day) / entry["contract"] / f"{day}.parquet"
    inputs = {"entry": folder / "entry.json", "ticks": ticks}
    outputs = {"ticks": "ticks.parquet", "manifest": "manifest.json"}
    return Task("main-l5", folder, inputs, outputs, {"variety": VARIETY, "day": day})


def requests(setting: Setting, tasks: list[Task]):
    listed = setting.folder / "requests.txt"
    listed.write_text("".join(f"{task.folder / 'request.json'}\n" for task in tasks))
    return listed
