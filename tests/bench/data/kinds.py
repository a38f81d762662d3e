"""How a kind of `ghtrader-tasks` is run without the runner: a request in a file. Knows no market and no peer."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "GHTRADER_TASK"
CONTRACT = 1


@dataclass
class Task:
    """One task: its files, and the cores that it may use."""

    kind: str
    folder: Path  # of its request and its outputs
    inputs: dict[str, Path]
    outputs: dict[str, str]  # by name, the path in the folder; with a slash at the end it is a folder
    matrix: dict[str, str] = field(default_factory=dict)
    params: dict = field(default_factory=dict)
    cpus: int = 1

    def write(self) -> Path:
        """The request's file; what an earlier run has left is removed."""
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        for path in self.outputs.values():
            place = out / path
            (place if path.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        request = {
            "contract": CONTRACT,
            "kind": self.kind,
            "params": self.params,
            "matrix": self.matrix,
            "inputs": {name: str(path) for name, path in self.inputs.items()},
            "outputs": {name: str(out / path) for name, path in self.outputs.items()},
            "cpus": self.cpus,
            "memory": None,
            "devices": [],
        }
        path = self.folder / "request.json"
        path.write_text(json.dumps(request))
        return path

    def output(self, name: str) -> Path:
        return self.folder / "out" / self.outputs[name]

    def run(self, program: Path) -> None:
        """Runs it, unmeasured."""
        env = dict(os.environ, **{VARIABLE: str(self.write())})
        subprocess.run([str(program), "run"], env=env, check=True, stdout=subprocess.DEVNULL)
