"""`./x bench backfill`: planning a market of many small files: 12 contracts × 3 varieties × 1,000 days are 36,000 of them.

The market is made, read once by the flow `backfill`, and then planned again and again: as it was, with a day more, and before anything ran.
"""

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/bench/runner"))
sys.dont_write_bytecode = True

import market  # noqa: E402
from machine import describe  # noqa: E402
from measure import Log, Measure, measure  # noqa: E402

PLAN = ["run", "backfill", "-p", "market=market", "--dry-run", "--quiet"]
RUN = ["run", "backfill", "-p", "market=market", "--quiet"]
LIMIT = 7200.0


class Project:
    """A folder with the flow and the market, and the runner in it."""

    def __init__(self, folder: Path, program: Path):
        self.folder, self.program = folder, program
        (folder / "flows").mkdir()
        shutil.copy(ROOT / "flows/backfill.yaml", folder / "flows")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GHTRADER_LEASES": str(folder / "leases")}

    def call(self, *words: str) -> Measure:
        with Log("backfill") as log:
            took = measure([str(self.program), *words], self.folder, self.env, log, LIMIT)
        if took.exit or not took.in_time:
            sys.exit(f"error: `ghtrader {' '.join(words)}` failed: {took.words}")
        return took


def counts(took: Measure) -> tuple[int, int]:
    """How many ran and how many were cached, from the last line of a run."""
    found = re.match(r"(\d+) ran, (\d+) cached, 0 failed", took.words)
    if not found:
        sys.exit(f"error: a run ended with: {took.words}")
    return int(found[1]), int(found[2])


def row(name: str, took: list[Measure], what: str) -> None:
    walls = [one.wall for one in took]
    wall = f"{statistics.median(walls):.2f}" + (f" ({min(walls):.2f}–{max(walls):.2f})" if len(walls) > 1 else "")
    cpu, rss = statistics.median(one.cpu for one in took), max(one.rss for one in took)
    print(f"| {name} | {what} | {wall} | {cpu:.2f} | {rss >> 20} |", flush=True)


def due(took: Measure, ran: int, name: str) -> None:
    if counts(took)[0] != ran:
        sys.exit(f"error: {name}: {counts(took)[0]} tasks ran, and {ran} were due")


def main() -> None:
    parser = argparse.ArgumentParser(prog="./x bench backfill", description=__doc__.splitlines()[0])
    parser.add_argument("--ghtrader", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--days", type=int, default=1000, help="trading days (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=5, help="plans, of which the median counts (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=ROOT / "target", help="a disk, not memory (default: target/)")
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    about = describe(given.folder, os.cpu_count() or 1)
    print("; ".join(f"{name}: {value}" for name, value in about.items()) + "\n")
    with tempfile.TemporaryDirectory(prefix="bench-backfill-", dir=given.folder) as folder:
        project = Project(Path(folder), given.ghtrader.absolute())
        days, files = market.write(Path(folder, "market"), given.days)
        per_day = len(market.VARIETIES)
        # cells; a ledger and a schedule of each variety; of each day main-l5 and build, but for the first: a contract is
        # main from the close before.
        tasks = 1 + files + 2 * per_day + 2 * per_day * (given.days - 1)
        print(f"### {given.days} days: {files} files, {tasks} tasks\n")
        print("|  |  | seconds | CPU s | peak MiB |\n| --- | --- | --- | --- | --- |")
        project.call("run", "backfill", "cells", "-p", "market=market", "--quiet")
        os.sync()
        row("plan", [project.call(*PLAN)], "nothing was read yet: every file is hashed")
        row("plan", [project.call(*PLAN) for _ in range(given.repeat)], "nothing was read yet")
        first = project.call(*RUN)
        due(first, tasks - 1, "the first run")
        row("run", [first], "everything")
        row("plan", [project.call(*PLAN) for _ in range(given.repeat)], "nothing to do")
        again = [project.call(*RUN) for _ in range(given.repeat)]
        due(again[0], 0, "a second run")
        row("run", again, "nothing to do; the ledger is shown")
        _, more = market.write(Path(folder, "market"), given.days + 1)
        row("plan", [project.call(*PLAN) for _ in range(given.repeat)], "a day more")
        day = project.call(*RUN)
        due(day, 1 + (more - files) + 4 * per_day, "a day more")
        row("run", [day], "a day more")


if __name__ == "__main__":
    main()
