"""What is done to a project, in which order, and what is measured of it. Knows no runner by name."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

from measure import Log, Measure, measure
from peers import Peer
from workloads import Sources, Workload, expected

SHORT = 10.0  # seconds: a scenario is repeated where one run takes less
CYCLE = ("no-op", "touch", "edit", "same", "param", "revert", "add")
ORDER = ("cold", *CYCLE, "lineage", "explain", "resume")


@dataclass
class Cell:
    """One measurement of one scenario, or why there is none. What the raw file holds, a line each."""

    workload: str
    kind: str
    size: int
    jobs: int
    peer: str
    scenario: str
    repeat: int
    expected: int | None
    status: str  # ok, slow, failed or cannot
    note: str = ""
    ran: int | None = None
    wall: float | None = None
    cpu: float | None = None
    rss: int | None = None
    hop: float | None = None


class Stop(Exception):
    """The project is in an unknown state: nothing more can be measured in it."""


@dataclass
class Course:
    """All scenarios of one runner on one workload."""

    peer: Peer
    work: Workload
    folder: Path
    log: Log
    budget: float
    repeats: int
    scenarios: tuple[str, ...]
    report: Callable[[Cell], None]

    def __post_init__(self):
        self.project = self.folder / "project"
        self.kept = self.folder / f"sources-{self.work.kind}"
        self.first = self.work
        self.walls: dict[str, float] = {}
        self.late = False  # whether the first run took longer than the budget

    def run(self) -> None:
        try:
            self.cold()
            self.cycles()
            self.questions()
            self.killed()
        except Stop:
            pass
        finally:
            self.clear()

    def cold(self) -> None:
        for repeat in range(self.repeats):
            if self.wanted("cold", repeat) or repeat == 0:
                self.fresh()
                self.one("cold", repeat, self.peer.run(self.work))

    def cycles(self) -> None:
        """The scenarios of a project that is up to date, again and again: each leaves it up to date for the next."""
        for repeat in range(self.repeats):
            for scenario in CYCLE:
                if self.wanted(scenario, repeat) and (
                    scenario != "revert" or repeat == 0 or self.wanted("param", repeat)
                ):
                    self.change(scenario, repeat)
                    self.one(scenario, repeat, self.peer.run(self.work))

    def change(self, scenario: str, repeat: int) -> None:
        """What happens to the project before a scenario is measured."""
        before = self.work
        if scenario == "touch":
            self.sources.touch()
        elif scenario == "edit":
            self.sources.edit()
        elif scenario == "same":
            self.sources.remark()
        elif scenario == "param":
            self.work = replace(self.work, param=repeat + 2)
        elif scenario == "revert":
            self.work = replace(self.work, param=1)
            self.sources.revert()
        elif scenario == "add":
            self.work = self.work.grown()
            self.sources.work = self.work
            self.sources.write()
        if self.work != before:
            self.peer.write(self.project, self.work)

    def questions(self) -> None:
        """Lineage of an output that is up to date; explain of a task whose input has then been edited."""
        task = next(task for task in self.work.tasks() if self.sources.leaf() in task.inputs)
        for scenario, ask in (("lineage", self.peer.lineage), ("explain", self.peer.explain)):
            argv = ask(self.work, task)
            if argv is None and scenario in self.scenarios:
                self.note(scenario, "cannot", self.peer.notes.get(scenario, "no such command"))
                continue
            if scenario == "explain" and scenario in self.scenarios:
                self.sources.edit()
            for repeat in range(self.repeats):
                if self.wanted(scenario, repeat):
                    self.one(scenario, repeat, argv)

    def killed(self) -> None:
        """Killed with SIGKILL when half of the tasks have run, then run again; executions are those of both."""
        for repeat in range(self.repeats):
            if not self.wanted("resume", repeat):
                continue
            self.fresh()
            size = expected(self.work, "cold")
            kill = self.measured(self.peer.run(self.work), stop=max(size // 2, 1))
            if not kill.in_time:
                return self.note("resume", "cannot", f"ended or stood still before half had run: {kill.words[:80]}")
            self.one("resume", repeat, self.peer.resume(self.work), before=kill.ran)

    def wanted(self, scenario: str, repeat: int) -> bool:
        if scenario == "add" and self.work.kind != "backfill":
            return False
        return scenario in self.scenarios and (repeat == 0 or self.walls.get(scenario, SHORT) < SHORT)

    def one(self, scenario: str, repeat: int, argv: list[str], before: int = 0) -> None:
        took = self.measured(argv)
        if not took.in_time:
            self.note(scenario, "slow", f"> {self.budget:g} s, {took.ran:,} had run")
            self.late = scenario == "cold"
            raise Stop
        if took.exit not in (self.peer.explained if scenario == "explain" else (0,)):
            self.note(scenario, "failed", f"exit {took.exit}: {took.words[:160]}")
            if scenario in ("lineage", "explain"):
                return
            raise Stop
        self.walls.setdefault(scenario, took.wall)
        cell = self.cell(scenario, repeat, "ok")
        cell.note = f"{took.left} processes were left" if took.left else ""
        cell.ran, cell.wall, cell.cpu, cell.rss, cell.hop = took.ran + before, took.wall, took.cpu, took.rss, took.hop
        self.report(cell)

    def measured(self, argv: list[str], stop: int = 0) -> Measure:
        os.sync()  # what was written so far is not what is measured
        return measure(argv, self.project, self.peer.setting.env, self.log, self.budget, stop)

    def note(self, scenario: str, status: str, text: str) -> None:
        cell = self.cell(scenario, 0, status)
        cell.note = text
        self.report(cell)

    def cell(self, scenario: str, repeat: int, status: str) -> Cell:
        asked = scenario in ("lineage", "explain")
        due = None if asked else expected(self.work, scenario)
        jobs = self.peer.setting.jobs
        return Cell(
            self.first.name, self.first.kind, self.first.size, jobs, self.peer.name, scenario, repeat, due, status
        )

    def fresh(self) -> None:
        """A new project folder in which nothing has run. Large sources are kept: writing them takes minutes."""
        self.clear()
        self.work = self.first
        self.project.mkdir(parents=True)
        if self.kept.exists():
            self.kept.rename(self.project / "in")
        self.sources = Sources(self.project, self.work)
        self.sources.write()
        self.peer.prepare(self.project, self.work)
        self.peer.write(self.project, self.work)

    def clear(self) -> None:
        """Removes the project, but large sources with the content that they began with."""
        if self.work.bytes and (self.project / "in").exists():
            self.sources.revert()
            (self.project / "in").rename(self.kept)
        if self.project.exists():
            writable(self.project)
            shutil.rmtree(self.project)


def writable(folder: Path) -> None:
    """A runner may protect its cache from being written to."""
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
