"""What a runner has to answer to be measured. Knows no runner."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from workloads import Task, Workload


class Missing(Exception):
    """The runner is not installed; the text says how to get it."""


@dataclass
class Setting:
    """Where a runner is measured: the machine's side of it."""

    tools: Path  # the virtual environment of the peers from PyPI
    home: Path  # an empty home folder, so that no configuration of the user counts
    jobs: int
    log: Path  # the file to which each task adds a line
    ghtrader: Path
    env: dict[str, str] = field(init=False)

    def __post_init__(self):
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "SHELL": "/bin/bash",
            "GIT_CEILING_DIRECTORIES": str(self.home.parent),  # the projects lie in no repository
            "DVC_SITE_CACHE_DIR": str(self.home / "dvc"),
            "DVC_NO_ANALYTICS": "1",
        }


class Peer:
    """A runner. A question answered with `None` is one that it has no command for; `notes` says what is near."""

    name = ""
    binary = ""
    version_line = 0
    patience = 1  # how many times the budget it is given
    explained = (0,)  # the exit codes with which `explain` answers
    notes: dict[str, str] = {}  # scenario: what is to be known about it

    def __init__(self, setting: Setting):
        self.setting = setting

    def program(self) -> str:
        """The path of its program, from the peers' environment or the machine's."""
        own = self.setting.tools / "bin" / self.binary
        found = str(own) if own.exists() else shutil.which(self.binary)
        if not found:
            raise Missing(f"{self.name} is not installed")
        return found

    def version(self) -> str:
        said = subprocess.run([self.program(), "--version"], capture_output=True, text=True, env=self.setting.env)
        return (said.stdout or said.stderr).splitlines()[self.version_line].strip()

    def command(self, task: Task) -> str:
        return task.command(self.setting.log)

    def prepare(self, project: Path, work: Workload) -> None:
        """Once for a new project folder. The folders of the outputs are there for all."""
        for folder in {Path(task.output).parent for task in work.tasks()}:
            (project / folder).mkdir(parents=True, exist_ok=True)

    def write(self, project: Path, work: Workload) -> None:
        """The files that define the graph: again whenever a parameter or the number of days has changed."""
        raise NotImplementedError

    def run(self, work: Workload) -> list[str]:
        raise NotImplementedError

    def resume(self, work: Workload) -> list[str]:
        """The command after a kill, where it is another one."""
        return self.run(work)

    def explain(self, work: Workload, task: Task) -> list[str] | None:
        """Why this one task runs."""
        return None

    def lineage(self, work: Workload, task: Task) -> list[str] | None:
        """What this task's output was made from, to the sources."""
        return None
