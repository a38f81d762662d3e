"""What the bounds are judged by beside the scenarios: the price of a shell, and of hashing. Knows no runner."""

import os
import shutil
import statistics
import sys
from pathlib import Path

from measure import Log, measure
from workloads import command

SPAWNS = 200
SPAWN = """\
import os, sys
count = int(sys.argv[1])
for _ in range(count):
    os.waitpid(os.posix_spawn(sys.argv[2], sys.argv[2:], dict(os.environ)), 0)
"""


def shells(folder: Path, log: Log, repeats: int) -> dict[str, float]:
    """CPU seconds of one task in bash and in sh, started in a loop by a small program; the hop of that loop."""
    (folder / "in.txt").write_text("v0\n")
    text = command(["in.txt"], " key", "out.txt", log.path)
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    costs = {}
    for name, argv in (("sh", ["/bin/sh", "-c"]), ("bash", ["/bin/bash", "-euo", "pipefail", "-c"])):
        loop = [sys.executable, "-I", "-S", "-c", SPAWN]
        rounds = [measure([*loop, str(SPAWNS), *argv, text], folder, env, log, 600) for _ in range(repeats)]
        none = [measure([*loop, "0", *argv, text], folder, env, log, 600) for _ in range(repeats)]
        costs[name] = (middle(rounds, "cpu") - middle(none, "cpu")) / SPAWNS
        costs[f"{name} wall"] = (middle(rounds, "wall") - middle(none, "wall")) / SPAWNS
        costs[f"{name} hop"] = middle(rounds, "hop") if name == "bash" else 0.0
    return costs


def middle(rounds: list, name: str) -> float:
    return statistics.median(getattr(one, name) for one in rounds)


def hashing(paths: list[Path], b3sum: Path, log: Log) -> float:
    """Seconds of b3sum on files that are in the page cache: the median of five after one that is not counted."""
    env = {"PATH": os.environ["PATH"]}
    rounds = [measure([str(b3sum), *map(str, paths)], paths[0].parent, env, log, 600) for _ in range(6)]
    return statistics.median(one.wall for one in rounds[1:])


def b3sum(tools: Path) -> Path | None:
    own = tools.parent / "b3sum/bin/b3sum"
    return own if own.exists() else (Path(found) if (found := shutil.which("b3sum")) else None)
