"""The tables and the bounds, from the lines of a raw file. Measures nothing."""

import statistics
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "runner"))

from table import short, table  # noqa: E402

OURS = "ghtrader"
LEAST = 0.7  # of the speed of a bare polars scan and sink
STEADY = 1.1  # what the peak memory may grow by from the second number of days to the last
TITLES = {
    "ingest": "CSV to canonical Parquet",
    "hashes": "Row-hash aggregates of each day",
    "main_l5": "main_l5 of each day",
    "questdb": "QuestDB: rows with five levels in, and back",
}


class Results:
    """The runs of a raw file, by part, case and peer."""

    def __init__(self, lines: list[dict]):
        self.machine: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.about: dict[str, str] = {}
        self.runs: dict[tuple[str, str, str], list[dict]] = defaultdict(list)
        for line in lines:
            self.machine = line.get("machine", {}) | self.machine
            self.versions |= line.get("versions", {})
            self.about |= line.get("about", {})
            if "part" in line:
                self.runs[line["part"], line["case"], line["peer"]].append(line)

    def cases(self, part: str) -> list[str]:
        return list(dict.fromkeys(case for found, case, _ in self.runs if found == part))

    def median(self, part: str, case: str, peer: str, what: str) -> float | None:
        values = [run[what] for run in self.runs.get((part, case, peer), []) if not run["exit"]]
        return statistics.median(values) if values else None

    def rate(self, part: str, case: str, peer: str) -> float | None:
        """Rows a second, of the median wall time."""
        wall = self.median(part, case, peer, "wall")
        return self.runs[part, case, peer][0]["rows"] / wall if wall else None


def render(results: Results) -> str:
    parts = [heading(results), "### Bounds of the data", table(["what", "bound", "measured", ""], judge(results))]
    parts += [text for part in TITLES if (text := speed(results, part))]
    parts += [memory(results), remarks(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(results: Results) -> str:
    machine = "; ".join(f"{name}: {value}" for name, value in results.machine.items())
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return f"Machine: {machine}.\nBeside: {versions}."


def judge(results: Results) -> list[list[str]]:
    rows = []
    for case in results.cases("ingest"):
        ours, polars = (results.rate("ingest", case, peer) for peer in (OURS, "polars"))
        if ours and polars:
            what = f"CSV to canonical Parquet with all checks, {threads(case)}"
            measured = f"{ours / polars:.2f} ×: {millions(ours)} beside {millions(polars)}"
            rows.append([what, f"≥ {LEAST} × polars' scan and sink", measured, met(ours / polars >= LEAST)])
    ours, client = (results.rate("questdb", "write", peer) for peer in (OURS, "questdb"))
    if ours and client:
        measured = f"{ours / client:.2f} ×: {millions(ours)} beside {millions(client)}"
        rows.append(["rows into QuestDB, acknowledged", "≥ 1.0 × the official Python client", measured, met(ours >= client)])
    for kind in ("csv", "parquet"):
        cases = [case for case in results.cases("memory") if case.split()[0] == kind][1:]
        peaks = [results.median("memory", case, OURS, "rss") for case in cases]
        if len(peaks) > 1 and all(peaks):
            what = f"peak memory of ingest from {name(kind)} does not depend on the number of days"
            days = [case.split()[1] for case in cases]
            measured = ", ".join(f"{peak / 1e6:.0f} MB of {day} days" for peak, day in zip(peaks, days))
            bound = f"of {days[-1]} days ≤ {STEADY} × of {days[0]}"
            rows.append([what, bound, measured, met(peaks[-1] <= STEADY * peaks[0])])
    return rows


def met(is_met: bool) -> str:
    return "met" if is_met else "**not met**"


def name(kind: str) -> str:
    return {"csv": "CSV", "parquet": "Parquet"}[kind]


def threads(case: str) -> str:
    """A case that is a number of threads, in words."""
    if not case.isdigit():
        return case
    return "one thread" if case == "1" else f"{case} threads"


def millions(rate: float) -> str:
    return f"{rate / 1e6:.2f} M rows/s"


def speed(results: Results, part: str) -> str:
    rows = []
    for case in results.cases(part):
        for peer in dict.fromkeys(found[2] for found in results.runs if found[:2] == (part, case)):
            wall, cpu, rss = (results.median(part, case, peer, what) for what in ("wall", "cpu", "rss"))
            rate = results.rate(part, case, peer)
            if rate is None:
                failed = results.runs[part, case, peer][0]
                rows.append([threads(case), peer, f"fails: {failed['words']}", "", "", ""])
            else:
                rows.append([threads(case), peer, short(wall), short(cpu), f"{rate / 1e6:.2f}", f"{rss / 1e6:.0f}"])
    if not rows:
        return ""
    text = f"### {TITLES[part]}\n\n{results.about.get(part, '')}".rstrip()
    return f"{text}\n\n" + table(["", "", "seconds", "CPU s", "M rows/s", "peak MB"], rows)


def memory(results: Results) -> str:
    cases = results.cases("memory")
    if not cases:
        return ""
    rows = []
    for case in cases:
        kind, days = case.split()
        peaks = [results.median("memory", case, peer, "rss") for peer in (OURS, "polars")]
        count = results.runs["memory", case, OURS][0]["rows"]
        cells = [f"{peak / 1e6:.0f}" if peak else "fails" for peak in peaks]
        rows.append([f"{name(kind)} of {days} days", f"{count:,}", *cells])
    text = f"### Peak memory of ingest, MB\n\n{results.about.get('memory', '')}".rstrip()
    return f"{text}\n\n" + table(["", "rows", OURS, "polars"], rows)


def remarks(results: Results) -> str:
    notes = []
    for (part, case, peer), runs in results.runs.items():
        failed = [run for run in runs if run["exit"]]
        if failed:
            notes.append(f"- {peer}, {part}, {case}: exit {failed[0]['exit']}: {failed[0]['words']}")
    return "\n".join(notes)
