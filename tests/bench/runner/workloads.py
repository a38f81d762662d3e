"""The graphs that every runner is given, as plain lists of tasks. Knows no runner.

Every task is the same shell command: read the first word of its inputs, write one line, and add one line with the
times of its begin and end to a file outside of the project. These lines are what executions and the time between two
tasks are counted by, for all runners alike. Only builtins of the shell are used, so a task costs one shell.
"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

STAGES = 6
SYMBOLS = ("ag", "au", "cu", "zn")
FILES = 8
HEADER = 64  # bytes of the first line of a large source, so that an edit leaves the rest in its place
BLOCK = 1 << 22


def command(reads: list[str], words: str, output: str, log: Path) -> str:
    """The command of a task. The first word of each input goes on to the output; what follows it is a remark."""
    names = [f"v{place}" for place in range(len(reads))]
    parts = ["s=$EPOCHREALTIME"]
    parts += [f'read -r {name} rest <"{path}"' for name, path in zip(names, reads)]
    value = ".".join(f"${name}" for name in names)
    parts += [f'echo "{value}{words}" >"{output}"', f'echo "$s $EPOCHREALTIME" >>"{log}"']
    return "; ".join(parts)


@dataclass(frozen=True)
class Task:
    """One execution: paths relative to the project's folder."""

    key: str
    inputs: list[str]
    ours: str  # the instance's name in ghtrader
    param: int | None = None

    @property
    def output(self) -> str:
        return f"out/{self.key}"

    @property
    def words(self) -> str:
        """What the task adds: the parameter as part of the value, so that dependents see it, and its own name."""
        return f"{'' if self.param is None else f'.{self.param}'} {self.key}"

    def command(self, log: Path) -> str:
        return command(self.inputs, self.words, self.output, log)


@dataclass(frozen=True)
class Workload:
    """A graph of a given size. `param` and `days` are what a scenario changes."""

    kind: str
    size: int
    param: int = 1
    days: int = 0
    bytes: int = 0  # of each source, where the sources are large

    @property
    def name(self) -> str:
        return TITLES[self.kind].format(size=self.size, each=f"{self.bytes / 1e6:,.0f} MB")

    def tasks(self) -> list[Task]:
        return GRAPHS[self.kind](self)

    def sources(self) -> list[str]:
        tasks = self.tasks()
        produced = {task.output for task in tasks}
        return list(dict.fromkeys(path for task in tasks for path in task.inputs if path not in produced))

    def smaller(self) -> "Workload":
        return workload(self.kind, max(self.size // 10, 1))

    def grown(self) -> "Workload":
        return replace(self, days=self.days + 1)


def workload(kind: str, size: int) -> Workload:
    """`files` are always eight: their size is that of each, in MB."""
    if kind == "files":
        return Workload(kind, FILES, bytes=size * 1_000_000)
    return Workload(kind, size, days=size if kind == "backfill" else 0)


def fan(work: Workload) -> list[Task]:
    """Tasks that know nothing of each other; one in a hundred uses the parameter."""
    plain = plain_of(work.size)
    suffix = "bin" if work.kind == "files" else "txt"
    return [
        Task(f"{n}", [f"in/{n}.{suffix}"], f"plain[n={n}]")
        if n < plain
        else Task(f"{n}", [f"in/{n}.{suffix}"], f"scaled[n={n}]", work.param)
        for n in range(work.size)
    ]


def plain_of(size: int) -> int:
    """How many tasks of a fan do not use the parameter."""
    return size - max(size // 100, 1)


def chain(work: Workload) -> list[Task]:
    """Each task reads the one before it; the one at nine tenths also reads a source of its own, and the parameter."""
    late = late_of(work.size)
    tasks = []
    for n in range(work.size):
        reads = ["in/head.txt"] if n == 0 else [tasks[-1].output]
        tasks.append(
            Task(f"{n}", reads + ["in/late.txt"] * (n == late), f"step[n={n}]", work.param if n == late else None)
        )
    return tasks


def late_of(size: int) -> int:
    return size * 9 // 10


def backfill(work: Workload) -> list[Task]:
    """For each day and symbol six stages, one after the other; the fifth uses the parameter."""
    tasks = []
    for day in range(work.days):
        for symbol in SYMBOLS:
            reads = f"in/{symbol}/{day}.txt"
            for stage in range(1, STAGES + 1):
                ours = f"stage{stage}[symbol={symbol},day={day}]"
                tasks.append(
                    Task(f"{stage}/{symbol}/{day}", [reads], ours, work.param if stage == STAGES - 1 else None)
                )
                reads = tasks[-1].output
    return tasks


def folder(work: Workload) -> list[Task]:
    """One task reads a folder of many files, a second one reads its output and the parameter."""
    scan = FolderTask("scan", [f"in/{n}.txt" for n in range(work.size)], "scan")
    return [scan, Task("after", [scan.output], "after", work.param)]


@dataclass(frozen=True)
class FolderTask(Task):
    """Depends on every file of a folder and looks at the first: reading all of them would measure the shell."""

    def command(self, log: Path) -> str:
        return command(self.inputs[:1], self.words, self.output, log)


GRAPHS = {"fan": fan, "files": fan, "chain": chain, "backfill": backfill, "folder": folder}
TITLES = {
    "fan": "fan of {size:,}",
    "files": "{size} files of {each}",
    "chain": "chain of {size:,}",
    "backfill": "backfill of {size} days × 4 symbols × 6 stages",
    "folder": "a folder of {size:,} files",
}


@dataclass
class Sources:
    """The sources of a workload on the disk, and what scenarios do to them."""

    project: Path
    work: Workload
    edits: int = 0
    edited: set[str] = field(default_factory=set)

    def write(self) -> None:
        """Makes those that are missing."""
        paths = self.work.sources()
        for folder in {Path(path).parent for path in paths}:
            (self.project / folder).mkdir(parents=True, exist_ok=True)
        for path in paths:
            if not (self.project / path).exists():
                self.set(path, "v0")

    def set(self, path: str, line: str) -> None:
        place = self.project / path
        if not self.work.bytes:
            place.write_text(f"{line}\n")
            return
        with open(place, "r+b" if place.exists() else "w+b") as file:
            file.write(line.ljust(HEADER - 1).encode() + b"\n")
            if os.fstat(file.fileno()).st_size <= HEADER:
                fill(file, self.work.bytes - HEADER)

    def touch(self) -> None:
        """New times, same content: every file of the small workloads' folders, one in a hundred of the many."""
        paths = self.work.sources()
        for path in paths[:: 100 if self.work.kind in ("fan", "backfill") else 1]:
            os.utime(self.project / path)

    def edit(self) -> None:
        self.edits += 1
        self.change(self.leaf(), f"v{self.edits}")

    def remark(self) -> None:
        """An edit that no task makes anything of: their outputs stay as they are."""
        self.edits += 1
        self.change(self.unseen(), f"v0 remark {self.edits}")

    def change(self, path: str, line: str) -> None:
        self.edited.add(path)
        self.set(path, line)

    def revert(self) -> None:
        for path in self.edited:
            self.set(path, "v0")
        self.edited.clear()

    def leaf(self) -> str:
        return {"chain": "in/late.txt", "folder": "in/0.txt"}.get(self.work.kind) or self.work.sources()[1]

    def unseen(self) -> str:
        return self.work.sources()[-1] if self.work.kind == "folder" else self.work.sources()[0]


def fill(file, count: int) -> None:
    """Real bytes, each block another: a sparse or a shared file would measure something else."""
    while count > 0:
        file.write(os.urandom(min(BLOCK, count)))
        count -= BLOCK


def expected(work: Workload, scenario: str) -> int:
    """How many tasks have to run when content decides."""
    size = len(work.tasks())
    after = {"fan": 1, "files": 1, "chain": work.size - late_of(work.size), "backfill": STAGES, "folder": 2}
    param = {
        "fan": work.size - plain_of(work.size),
        "files": 1,
        "chain": after["chain"],
        "backfill": 2 * work.days * len(SYMBOLS),
        "folder": 1,
    }
    counts = {"cold": size, "resume": size, "edit": after[work.kind], "same": 1, "param": param[work.kind]}
    return counts.get(scenario, STAGES * len(SYMBOLS) if scenario == "add" else 0)
