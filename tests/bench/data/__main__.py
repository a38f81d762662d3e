"""`./x bench data`: what goes on with ticks, beside what a user would run instead, on the same files, with the same cores.

Each measurement is a whole process, from its start to its end; the median of several counts. They go to a raw file, a line
each, as they are made; the tables are written from it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import hashes
import ingest
import main_l5
import memory
import questdb
from market import Market
from report import Results, render
from work import Run, Setting, empty, take

from machine import describe  # of ../runner, which `work` has put on the path

ROOT = Path(__file__).parents[3]
README = Path(__file__).parents[1] / "README.md"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
MARKS = ("<!-- data: begin -->", "<!-- data: end -->")
PARTS = {part.PART: part for part in (ingest, hashes, main_l5, memory, questdb)}
DAYS = {"busy": (120, 21_000), "year": (250, 7_000)}
SMALL = {"busy": (6, 4_000), "year": (10, 2_000)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./x bench data", description=__doc__.splitlines()[0])
    parser.add_argument("--ghtrader", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--parts", default=",".join(PARTS), help="default: %(default)s")
    parser.add_argument("--repeat", type=int, default=5, help="runs, of which the median counts (default: %(default)s)")
    parser.add_argument("--small", action="store_true", help="small markets, a minute: does all of it work?")
    parser.add_argument("--folder", type=Path, default=ROOT / "target/bench-data", help="default: %(default)s")
    parser.add_argument("--raw", type=Path, default=ROOT / "target/bench-data.jsonl", help="default: %(default)s")
    parser.add_argument(
        "--continue", dest="carry_on", action="store_true", help="keep what the raw file has of other parts"
    )
    parser.add_argument("--table", action="store_true", help="measure nothing, write the tables from the raw file")
    parser.add_argument("--update", action="store_true", help="put the tables into tests/bench/README.md")
    return parser.parse_args()


def install() -> Path:
    """The Python of an environment with the peers, as `requirements.txt` pins them."""
    tools = ROOT / ".tools/bench/data"
    mark, pinned = tools / "installed.txt", REQUIREMENTS.read_text()
    if not mark.exists() or mark.read_text() != pinned:
        print("installing polars and pandas from PyPI, as tests/bench/data/requirements.txt pins them", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(tools)], check=True)
        command = [str(tools / "bin/pip"), "install", "--quiet", "--no-deps", "-r", str(REQUIREMENTS)]
        subprocess.run(command, check=True)
        mark.write_text(pinned)
    return tools / "bin/python"


def build(target: Path, package: str, name: str) -> Path:
    """A program that does one thing that is measured, and nothing else."""
    command = ["cargo", "build", "--quiet", "--release", "--locked", "-p", package, "--example", name]
    subprocess.run(command, cwd=ROOT, check=True)
    return target / "examples" / name


def setting(asked: argparse.Namespace) -> Setting:
    python = install()
    programs = asked.ghtrader.resolve().parent
    tasks = programs / "ghtrader-tasks"
    markets = SMALL if asked.small else DAYS
    kept = asked.folder.resolve() / ("small" if asked.small else "full")
    made = {name: Market(name, *size, kept, tasks, python) for name, size in markets.items()}
    for market in made.values():
        market.make()
    days = made["year"].days
    spans = [max(2, days // 50), days // 5, days]
    cores = sorted({1, min(2, len(os.sched_getaffinity(0)))})
    hashes, stores = build(programs, "ghtrader-market", "row-hashes"), build(programs, "ghtrader-store", "slices")
    return Setting(empty(kept / "work"), tasks, hashes, stores, python, **made, spans=spans, cores=cores)


def about(setting: Setting) -> dict[str, str]:
    """What the tables say of the files."""
    busy, year = setting.busy, setting.year
    size = busy.source(busy.days, "csv").stat().st_size / 1e6
    return {
        "ingest": f"{busy.total(busy.days):,} rows of {busy.days} days, contracts among each other in the order of time, "
        f"five levels, {size:,.0f} MB of CSV; ours are {len(busy.files(busy.days)):,} files, the others' is one.",
        "hashes": f"{busy.total(busy.days):,} rows in {len(busy.files(busy.days)):,} files.",
        "main_l5": f"{year.days} days; ours is a process for each, so many at a time as it has cores.",
        "questdb": f"About {questdb.ROWS:,} rows in slices of a contract and day, one after another, each acknowledged; the server "
        f"on the same {setting.cores[-1]} cores. `write, compare` looks first, waits until the rows can be seen, and reads them back.",
        "memory": f"With {setting.cores[-1]} cores; contracts among each other in the order of time.",
    }


def versions(python: Path) -> dict[str, str]:
    code = "import json, polars, pandas, pyarrow as a, questdb as q; print(json.dumps([m.__version__ for m in (polars, pandas, a, q)]))"
    found = json.loads(subprocess.run([str(python), "-c", code], check=True, capture_output=True).stdout)
    return dict(zip(("polars", "pandas", "pyarrow", "questdb"), found))


def run(asked: argparse.Namespace) -> None:
    made = setting(asked)
    wanted = asked.parts.split(",")
    kept = [line for line in read(asked.raw) if asked.carry_on and line.get("part") not in wanted]
    asked.raw.parent.mkdir(parents=True, exist_ok=True)
    asked.raw.write_text("".join(json.dumps(line) + "\n" for line in kept))
    add(asked.raw, machine=describe(asked.folder, made.cores[-1]), versions=versions(made.python), about=about(made))
    for part in wanted:
        runs = PARTS[part].runs(made)
        for _ in range(asked.repeat):
            # Peers by turns: what else the machine does comes to all of them.
            for one in runs:
                record(asked.raw, one, made.folder)
    shutil.rmtree(made.folder)


def record(raw: Path, one: Run, folder: Path) -> None:
    took = take(one, folder)
    line = {name: getattr(one, name) for name in ("part", "case", "peer", "rows", "cores")}
    add(raw, **line, **asdict(took), load=os.getloadavg()[0])
    text = f"{took.wall:.2f} s, {took.rss / 1e6:.0f} MB" if not took.exit else f"exit {took.exit}: {took.words}"
    print(f"{one.part:<8} {one.case:<12} {one.peer:<9} {text}", file=sys.stderr, flush=True)


def read(raw: Path) -> list[dict]:
    return [json.loads(line) for line in raw.read_text().splitlines()] if raw.exists() else []


def add(raw: Path, **line: object) -> None:
    with open(raw, "a") as file:
        file.write(json.dumps(line) + "\n")


def update(text: str) -> None:
    before, rest = README.read_text().split(MARKS[0])
    README.write_text(f"{before}{MARKS[0]}\n\n{text}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


def main() -> None:
    asked = arguments()
    if not asked.table:
        run(asked)
    text = render(Results(read(asked.raw)))
    print(text)
    if asked.update:
        update(text)


main()
