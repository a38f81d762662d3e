"""Measures one command: time, processor time, memory, executions. Knows no runner and no workload."""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

WATCH = Path(__file__).with_name("watch.py")


@dataclass
class Measure:
    """What a command took: `cpu` is that of its whole process tree, `rss` the memory of its largest process."""

    wall: float
    cpu: float
    rss: int
    exit: int
    in_time: bool
    left: int  # processes that did not end after the command and were killed
    ran: int
    hop: float | None  # median seconds from the end of a task to the begin of the next, where they run one by one
    words: str  # the most telling line of what the command said


class Log:
    """The file to which each task adds a line: in memory where there is a folder for that, as it is not measured."""

    def __init__(self, name: str):
        memory = Path("/dev/shm")
        self.path = (
            Path(tempfile.mkdtemp(prefix=f"ghtrader-bench-{name}-", dir=memory if memory.is_dir() else None)) / "log"
        )
        self.path.touch()

    def empty(self) -> None:
        self.path.write_bytes(b"")

    def lines(self) -> int:
        return self.path.read_bytes().count(b"\n")

    def hop(self) -> float | None:
        times = sorted(
            tuple(map(float, words)) for line in self.path.read_text().splitlines() if len(words := line.split()) == 2
        )
        hops = [after[0] - before[1] for before, after in zip(times, times[1:])]
        return statistics.median(hops) if hops else None

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_) -> None:
        shutil.rmtree(self.path.parent, ignore_errors=True)


def measure(argv: list[str], folder: Path, env: dict[str, str], log: Log, limit: float, stop: int = 0) -> Measure:
    """Runs the command in `folder`. The log is emptied before."""
    log.empty()
    with tempfile.TemporaryDirectory() as aside:
        report, said = Path(aside, "report"), Path(aside, "said")
        watch = [sys.executable, "-I", "-S", str(WATCH), str(report), str(limit), str(log.path), str(stop), "--"]
        with open(said, "wb") as output:
            watching = subprocess.Popen(
                watch + argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            watching.wait()
        except BaseException:
            watching.terminate()  # it ends what it has started
            watching.wait()
            raise
        took = json.loads(report.read_text())
        lines = said.read_text(errors="replace").strip().splitlines()
    return Measure(**took, ran=log.lines(), hop=log.hop(), words=telling(lines))


def telling(lines: list[str]) -> str:
    """The last line that speaks of an error, or the last line."""
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or [""])[-1].strip()
