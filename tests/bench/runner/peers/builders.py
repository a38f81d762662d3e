"""make and ninja: they decide by file times; ninja also by the text of the command."""

from pathlib import Path

from peers.peer import Peer
from workloads import Task, Workload


class Ninja(Peer):
    """ninja starts every command with `sh -c`; `prefix` and `suffix` are what stands around the command."""

    name = "ninja"
    binary = "ninja"
    shell = "$cmd"
    notes = {"lineage": "`-t inputs`: what the graph says today, not what a result was made from"}

    def write(self, project: Path, work: Workload) -> None:
        with open(project / "build.ninja", "w") as file:
            file.write(f"rule task\n  command = {self.shell}\n")
            for task in work.tasks():
                text = self.command(task).replace("$", "$$")
                file.write(f"build {task.output}: task {' '.join(task.inputs)}\n  cmd = {text}\n")

    def run(self, work: Workload) -> list[str]:
        return [self.program(), "--quiet", "-j", str(self.setting.jobs)]

    def explain(self, work: Workload, task: Task) -> list[str]:
        return [self.program(), "-n", "-d", "explain", task.output]

    def lineage(self, work: Workload, task: Task) -> list[str]:
        return [self.program(), "-t", "inputs", task.output]


class NinjaBash(Ninja):
    name = "ninja, bash"
    shell = "bash -euo pipefail -c '$cmd'"
    notes = {}  # as ninja's


class Make(Peer):
    name = "make"
    binary = "make"
    notes = {"lineage": "no such command", "param": "does not look at commands"}

    def write(self, project: Path, work: Workload) -> None:
        with open(project / "Makefile", "w") as file:
            tasks = work.tasks()
            file.write("SHELL := bash\n.SHELLFLAGS := -euo pipefail -c\nMAKEFLAGS += --no-builtin-rules\n")
            file.write(f"all: {' '.join(task.output for task in tasks)}\n")
            for task in tasks:
                text = self.command(task).replace("$", "$$")
                file.write(f"{task.output}: {' '.join(task.inputs)}\n\t@{text}\n")

    def run(self, work: Workload) -> list[str]:
        return [self.program(), "--silent", "-j", str(self.setting.jobs)]

    def explain(self, work: Workload, task: Task) -> list[str]:
        return [self.program(), "-n", "--debug=basic", task.output]
