"""Snakemake, DVC, redun and doit: each reads the same list of tasks, in the form that its users write."""

import json
import shlex
from pathlib import Path

from peers.peer import Peer
from workloads import Task, Workload


def listed(work: Workload, peer: Peer) -> list[dict]:
    return [
        {"key": task.key, "inputs": task.inputs, "output": task.output, "command": peer.command(task)}
        for task in work.tasks()
    ]


class Snakemake(Peer):
    """One rule with a wildcard: a rule for each task would make it compare every file with every rule."""

    name = "Snakemake"
    binary = "snakemake"
    notes = {
        "resume": "`--unlock` first, then `--rerun-incomplete`: both are measured together",
        "lineage": "no command for one file",
    }
    SNAKEFILE = """\
import json
with open("tasks.json") as file:
    TASKS = {task["key"]: task for task in json.load(file)}
rule all:
    input: [task["output"] for task in TASKS.values()]
rule task:
    input: lambda wildcards: TASKS[wildcards.key]["inputs"]
    output: "out/{key}"
    params: command=lambda wildcards: TASKS[wildcards.key]["command"]
    shell: "{params.command}"
"""

    def write(self, project: Path, work: Workload) -> None:
        (project / "tasks.json").write_text(json.dumps(listed(work, self)))
        (project / "Snakefile").write_text(self.SNAKEFILE)

    def run(self, work: Workload) -> list[str]:
        return [self.program(), "--quiet", "all", "--cores", str(self.setting.jobs)]

    def resume(self, work: Workload) -> list[str]:
        again = shlex.join(self.run(work) + ["--rerun-incomplete"])
        return ["sh", "-c", f"{shlex.quote(self.program())} --unlock --quiet all && {again}"]

    def explain(self, work: Workload, task: Task) -> list[str]:
        return [self.program(), "--dry-run", "--cores", "1", task.output]


class Dvc(Peer):
    """A stage for each task. Of the shell it takes the one that `SHELL` names."""

    name = "DVC"
    binary = "dvc"
    notes = {"cold": "one stage at a time", "lineage": "`dag`: what the stages say today"}

    def prepare(self, project: Path, work: Workload) -> None:
        super().prepare(project, work)
        (project / ".dvc/tmp").mkdir(parents=True)
        (project / ".dvc/config").write_text(
            "[core]\n    no_scm = True\n    analytics = false\n    check_update = false\n"
        )

    def write(self, project: Path, work: Workload) -> None:
        stages = {
            self.stage(task): {
                "cmd": "set -euo pipefail; " + self.command(task),
                "deps": self.deps(task),
                "outs": [task.output],
            }
            for task in work.tasks()
        }
        (project / "dvc.yaml").write_text(json.dumps({"stages": stages}, indent=1))

    def stage(self, task: Task) -> str:
        return "t" + task.key.replace("/", "-")

    def deps(self, task: Task) -> list[str]:
        return ["in"] if len(task.inputs) > 2 else task.inputs

    def run(self, work: Workload) -> list[str]:
        return [self.program(), "repro"]

    def explain(self, work: Workload, task: Task) -> list[str]:
        return [self.program(), "status", self.stage(task)]

    def lineage(self, work: Workload, task: Task) -> list[str]:
        return [self.program(), "dag", self.stage(task)]


class Redun(Peer):
    """A script task for each task, in a workflow that is a function of the list of tasks."""

    name = "redun"
    binary = "redun"
    notes = {"explain": "no such command"}
    WORKFLOW = """\
import json
from redun import File, script, task

redun_namespace = "bench"

@task()
def step(command: str, inputs: list, output: str):
    return script(command, inputs=[file.stage(file.path) for file in inputs], outputs=File(output))

@task()
def main(listed: File = File("tasks.json")):
    made = {}
    for entry in json.loads(listed.read()):
        inputs = [made.get(path, File(path)) for path in entry["inputs"]]
        made[entry["output"]] = step(entry["command"], inputs, entry["output"])
    return list(made.values())
"""

    def prepare(self, project: Path, work: Workload) -> None:
        super().prepare(project, work)
        (project / ".redun").mkdir()
        (project / ".redun/redun.ini").write_text(
            "[backend]\ndb_uri = sqlite:///redun.db\n"
            f"[executors.default]\ntype = local\nmax_workers = {self.setting.jobs}\n"
        )

    def write(self, project: Path, work: Workload) -> None:
        tasks = listed(work, self)
        for task in tasks:
            task["command"] = "#!/bin/bash\nset -euo pipefail\n" + task["command"]
        (project / "tasks.json").write_text(json.dumps(tasks))
        (project / "workflow.py").write_text(self.WORKFLOW)

    def run(self, work: Workload) -> list[str]:
        return [self.program(), "run", "workflow.py", "main"]

    def lineage(self, work: Workload, task: Task) -> list[str]:
        return [self.program(), "log", "--file", task.output]


class Doit(Peer):
    name = "doit"
    binary = "doit"
    explained = (0, 1)  # 1: it is not up to date
    notes = {"lineage": "no such command"}
    DODO = """\
import json
from doit.action import CmdAction
from doit.tools import config_changed

DOIT_CONFIG = {"verbosity": 0, "reporter": "zero"}

def task_bench():
    with open("tasks.json") as file:
        tasks = json.load(file)
    for task in tasks:
        command = "set -euo pipefail; " + task["command"]
        yield {
            "name": task["key"],
            "actions": [CmdAction(command, executable="/bin/bash")],
            "file_dep": task["inputs"],
            "targets": [task["output"]],
            "uptodate": [config_changed(command)],
        }
"""

    def write(self, project: Path, work: Workload) -> None:
        (project / "tasks.json").write_text(json.dumps(listed(work, self)))
        (project / "dodo.py").write_text(self.DODO)

    def run(self, work: Workload) -> list[str]:
        return [self.program(), "run", "-n", str(self.setting.jobs)]

    def explain(self, work: Workload, task: Task) -> list[str]:
        return [self.program(), "info", f"bench:{task.key}"]
