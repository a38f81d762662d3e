"""`./x bench runner`: ghtrader beside other runners, on the same graphs, in the same run, and the bounds judged by it.

Measurements go to a raw file, a line each, as they are made; the tables are written from it. A run that was interrupted
carries on from it with `--continue`, and `--table` writes the tables again without measuring.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import bounds
import machine
from measure import Log
from million import Unmeasured, million
from peers import ALL, Missing, Peer, Setting
from scenarios import ORDER, Cell, Course
from table import TITLES, Results, render
from workloads import Workload, workload

ROOT = Path(__file__).parents[3]
README = Path(__file__).parents[1] / "README.md"
MARKS = ("<!-- table: begin -->", "<!-- table: end -->")
QUICK = "fan:100,chain:100,backfill:5,files:1,folder:200"
FULL = "fan:1000,chain:1000,backfill:25,folder:20000,fan:20000,backfill:250,chain:10000,files:1000,fan:100000"
LEAST = 10  # the smallest graph that a slow runner is given instead
SPARE = 8 << 30  # bytes that stay free beside large sources: private copies, a peer's cache


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./x bench runner", description=__doc__.splitlines()[0])
    names = ",".join(peer.name.replace(", ", "-") for peer in ALL)
    parser.add_argument("--ghtrader", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--full", action="store_true", help=f"the large set, hours: --million --workloads {FULL}")
    parser.add_argument(
        "--workloads",
        default=QUICK,
        help="KIND:SIZE,… of fan, chain, backfill (days), folder, files (MB each); default: %(default)s",
    )
    parser.add_argument("--peers", default=names, help="default: %(default)s")
    parser.add_argument("--scenarios", default=",".join(ORDER), help="default: %(default)s")
    parser.add_argument(
        "--budget", type=float, default=300, help="seconds that one run may take (default: %(default)s)"
    )
    parser.add_argument(
        "--repeat", type=int, default=5, help="runs of what takes less than 10 s (default: %(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="tasks at once (default: the cores)")
    parser.add_argument("--million", action="store_true", help="also explain and lineage with 1,000,000 results")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "target", help="where projects are made: a disk, not memory"
    )
    parser.add_argument("--raw", type=Path, default=ROOT / "target/bench-runner.jsonl", help="default: %(default)s")
    parser.add_argument(
        "--continue", dest="carry_on", action="store_true", help="measure what the raw file does not have"
    )
    parser.add_argument("--table", action="store_true", help="measure nothing, write the tables from the raw file")
    parser.add_argument("--output", type=Path, help="a file for the tables, beside standard output")
    parser.add_argument("--update", action="store_true", help="put the tables into tests/bench/README.md")
    return parser.parse_args()


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Raw:
    """The raw file: what was measured, a line of JSON each."""

    def __init__(self, path: Path, carry_on: bool):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if carry_on:
            self.drop_halves()
        elif path.exists():
            path.replace(path.with_suffix(".previous.jsonl"))  # hours may be in it

    def drop_halves(self) -> None:
        """What was measured of a runner on a workload that it was interrupted in: it is measured again as a whole."""
        done = self.done()
        kept = [line for line in self.lines() if "scenario" not in line or (line["workload"], line["peer"]) in done]
        self.path.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def add(self, **line: object) -> None:
        with open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")

    def lines(self) -> list[dict]:
        return read(self.path)

    def done(self) -> set[tuple[str, str]]:
        return {tuple(line["done"]) for line in self.lines() if "done" in line}

    def cell(self, cell: Cell) -> None:
        self.add(**asdict(cell))
        took = f"{cell.wall:.3f} s, ran {cell.ran:,}" if cell.wall is not None else f"{cell.status} {cell.note}"
        print(f"{cell.workload:<40} {cell.peer:<12} {cell.scenario:<8} {took}", file=sys.stderr, flush=True)


class Bench:
    """One call: the chosen runners on the chosen workloads."""

    def __init__(self, asked: argparse.Namespace, folder: Path, log: Log):
        self.asked, self.folder, self.log = asked, folder, log
        self.raw = Raw(asked.raw, asked.carry_on)
        self.tools = ROOT / ".tools/bench/peers"
        machine.install(self.tools)
        home = folder / "home"
        home.mkdir()
        self.setting = Setting(self.tools, home, asked.jobs, log.path, asked.ghtrader.resolve())

    def run(self) -> None:
        self.raw.add(machine=machine.describe(self.folder, self.asked.jobs))
        peers = self.peers()
        self.raw.add(extra={"shells": bounds.shells(self.folder, self.log, self.asked.repeat)})
        for text in self.asked.workloads.split(","):
            kind, _, size = text.partition(":")
            work = workload(kind, int(size))
            if self.fits(work):
                for peer in peers:
                    self.course(peer, work)
                self.hashing(work)
        if self.asked.million:
            self.million()

    def million(self) -> None:
        try:
            self.raw.add(extra={"million": million(ROOT)})
        except Unmeasured as why:
            self.raw.add(remark=f"explain and lineage with 1,000,000 results: not measured: {why}")

    def peers(self) -> list[Peer]:
        wanted = self.asked.peers.split(",")
        found = []
        for peer in (make(self.setting) for make in ALL if make.name.replace(", ", "-") in wanted):
            try:
                self.raw.add(peers={peer.name: peer.version()})
                for scenario, text in peer.notes.items():
                    self.raw.add(remark=f"{peer.name}, {TITLES[scenario]}: {text}")
                found.append(peer)
            except Missing as missing:
                self.raw.add(missing={peer.name: str(missing)})
        return found

    def fits(self, work: Workload) -> bool:
        need = work.size * work.bytes + SPARE if work.bytes else 0
        if need and machine.free(self.folder) < need:
            self.raw.add(remark=f"{work.name}: not measured, it needs {need >> 30} GiB of free disk")
        return machine.free(self.folder) >= need

    def course(self, peer: Peer, work: Workload) -> None:
        """One runner on one workload; a tenth of it where that was too much and nothing smaller was measured."""
        if (work.name, peer.name) in self.raw.done():
            return
        course = Course(
            peer,
            work,
            self.folder,
            self.log,
            self.asked.budget * peer.patience,
            self.asked.repeat,
            tuple(self.asked.scenarios.split(",")),
            self.raw.cell,
        )
        hopeless = self.hopeless(peer, work)
        if hopeless:
            course.note("cold", "slow", hopeless)
        else:
            course.run()
            if course.late and not self.smaller(peer, work) and work.size > LEAST and not work.bytes:
                self.course(peer, work.smaller())
        self.raw.add(done=(work.name, peer.name))

    def smaller(self, peer: Peer, work: Workload) -> list[dict]:
        """The first runs of this runner on smaller graphs of the same kind, the largest last."""
        cells = [line for line in self.raw.lines() if line.get("scenario") == "cold" and line["peer"] == peer.name]
        return sorted(
            (cell for cell in cells if cell["kind"] == work.kind and cell["size"] < work.size),
            key=lambda cell: cell["size"],
        )

    def hopeless(self, peer: Peer, work: Workload) -> str | None:
        """Why it is not tried: what a smaller graph took would, in proportion, be twice the budget."""
        for cell in reversed(self.smaller(peer, work)):
            if cell["status"] != "ok":
                return f"{cell['workload']} {'took too long' if cell['status'] == 'slow' else 'failed'}"
            if cell["wall"] * work.size / cell["size"] > 2 * peer.patience * self.asked.budget:
                return f"{cell['workload']} took {cell['wall']:.0f} s"
        return None

    def hashing(self, work: Workload) -> None:
        program = bounds.b3sum(self.tools)
        kept = self.folder / f"sources-{work.kind}"
        if not work.bytes or not program or not kept.exists():
            return
        seconds = bounds.hashing(sorted(kept.iterdir()), program, self.log)
        self.raw.add(extra={"b3sum": {"seconds": seconds, "bytes": work.size * work.bytes}})
        shutil.rmtree(kept)


def update(text: str) -> None:
    before, rest = README.read_text().split(MARKS[0])
    README.write_text(f"{before}{MARKS[0]}\n\n{text}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


def main() -> None:
    asked = arguments()
    if asked.full:
        asked.workloads, asked.million = FULL, True
    if not asked.table:
        asked.folder.mkdir(parents=True, exist_ok=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is removed
        folder = tempfile.TemporaryDirectory(prefix="bench-", dir=asked.folder, ignore_cleanup_errors=True)
        with folder as place, Log("runner") as log:
            Bench(asked, Path(place), log).run()
    text = render(Results(read(asked.raw)))
    print(text)
    if asked.output:
        asked.output.write_text(text)
    if asked.update:
        update(text)


main()
