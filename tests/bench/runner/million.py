"""explain and lineage in a cache with 1,000,000 recorded results: runs `tests/million.rs` and reads its figures.

That test fills the index from inside, which nothing outside of the runner should know how to do.
"""

import re
import subprocess
from pathlib import Path

ARGV = "cargo test --release --locked --package ghtrader --test million -- --ignored --nocapture".split()
LINE = re.compile(r"^\s*([\d.]+) ms .*?(explain|lineage)\b")


class Unmeasured(Exception):
    """There are no figures; the text says why."""


def million(root: Path) -> dict[str, float]:
    """For each of the two commands the median seconds of its slowest form."""
    done = subprocess.run(ARGV, cwd=root, capture_output=True, text=True)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).splitlines()
        raise Unmeasured(next((line for line in lines if "error" in line or "panicked" in line), "it failed"))
    return slowest(done.stdout)


def slowest(said: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in filter(None, map(LINE.match, said.splitlines())):
        found[line[2]] = max(found.get(line[2], 0.0), float(line[1]) / 1000)
    return found
