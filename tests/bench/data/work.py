"""One thing to be measured: a command, what it works on, how many cores it gets. Knows no peer and prints nothing."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "runner"))

from measure import Log, Measure, measure  # noqa: E402

from market import Market  # noqa: E402

PEERS = Path(__file__).parent / "peers"
LIMIT = 900.0  # seconds; nothing here takes as long


@dataclass
class Setting:
    """What the parts work with."""

    folder: Path  # of what is written
    tasks: Path  # ghtrader-tasks
    hashes: Path  # the example `row-hashes`
    stores: Path  # the example `slices`
    python: Path  # with the peers
    busy: Market  # large days
    year: Market  # many days
    spans: list[int]  # numbers of days of the year of which the memory is compared
    cores: list[int]  # numbers of cores to measure with


@dataclass
class Run:
    """A command of a peer in a case of a part; `prepare` makes room for what it writes."""

    part: str
    case: str
    peer: str
    rows: int
    cores: int
    argv: list[str]
    prepare: Callable[[], object]
    env: dict[str, str] = field(default_factory=dict)


def script(setting: Setting, peer: str, *words: object) -> list[str]:
    """A peer's script in the environment that has it."""
    return [str(setting.python), str(PEERS / f"with_{peer}.py"), *map(str, words)]


def empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def take(run: Run, folder: Path) -> Measure:
    """Runs it: on so many cores, and told to use as many threads."""
    run.prepare()
    count = str(run.cores)
    threads = {name: count for name in ("RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "OMP_NUM_THREADS")}
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", **threads, **run.env}
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_cores)[: run.cores])
    try:
        with Log("data") as log:
            return measure(run.argv, folder, env, log, LIMIT)
    finally:
        os.sched_setaffinity(0, all_cores)
