"""explain and lineage in a project whose cache holds 1,000,000 recorded results. Makes no such project."""

import statistics
from pathlib import Path

from measure import Log, measure
from peers import Setting


class Refused(Exception):
    """A command of ghtrader did not do what it was asked to."""


def million(project: Path, flow: str, artifact: str, setting: Setting, log: Log, repeats: int) -> dict[str, float]:
    """Median wall seconds of both commands, for the task that made the artifact (`task[instance].output`)."""
    program = str(setting.ghtrader)
    asked = {
        "explain": [program, "explain", flow, artifact.rpartition(".")[0]],
        "lineage": [program, "lineage", f"{flow}:{artifact}"],
    }
    return {word: seconds(argv, project, setting, log, repeats) for word, argv in asked.items()}


def seconds(argv: list[str], project: Path, setting: Setting, log: Log, repeats: int) -> float:
    """The median, after one that is not counted: the index is in the page cache, as it is while one works."""
    rounds = [measure(argv, project, setting.env, log, 60) for _ in range(repeats + 1)]
    refused = next((one for one in rounds if one.exit != 0), None)
    if refused:
        raise Refused(f"{' '.join(argv)}: {refused.words}")
    return statistics.median(one.wall for one in rounds[1:])
