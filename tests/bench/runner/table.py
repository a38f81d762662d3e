"""The tables, from the lines of a raw file. Measures nothing."""

import statistics
from collections import defaultdict

from judge import judge
from scenarios import ORDER

TITLES = {
    "cold": "cold",
    "no-op": "no-op",
    "touch": "touch",
    "edit": "edit one leaf",
    "same": "edit, same result",
    "param": "one parameter",
    "revert": "revert",
    "add": "add one day",
    "lineage": "lineage",
    "explain": "explain",
    "resume": "kill at half, resume",
}


class Results:
    """The cells of a raw file, by workload, runner and scenario."""

    def __init__(self, lines: list[dict]):
        self.machine: dict[str, str] = {}
        self.peers: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self.extra: dict[str, object] = {}
        self.remarks: list[str] = []
        self.cells: dict[tuple[str, str, str], list[dict]] = defaultdict(list)
        for line in lines:
            # Of a measurement that was carried on: the load before it began.
            self.machine = line.get("machine", {}) | self.machine
            for name in ("peers", "missing", "extra"):
                getattr(self, name).update(line.get(name, {}))
            if "remark" in line:
                self.remarks.append(line["remark"])
            if "scenario" in line:
                self.cells[line["workload"], line["peer"], line["scenario"]].append(line)
        # Measured anew in each call that carries on.
        shells = [line["extra"]["shells"] for line in lines if "shells" in line.get("extra", {})]
        if shells:
            self.extra["shells"] = {name: statistics.median(one[name] for one in shells) for name in shells[0]}
        self.workloads = list(dict.fromkeys(key[0] for key in self.cells))

    def of(self, workload: str, peer: str, scenario: str) -> list[dict]:
        return self.cells.get((workload, peer, scenario), [])

    def median(self, workload: str, peer: str, scenario: str, what: str) -> float | None:
        values = [
            cell[what]
            for cell in self.of(workload, peer, scenario)
            if cell["status"] == "ok" and cell[what] is not None
        ]
        return statistics.median(values) if values else None

    def largest(self, kind: str) -> list[tuple[int, str]]:
        """The workloads of a kind with their sizes, the largest first."""
        return sorted(
            {(cell["size"], name) for (name, _, _), (cell, *_) in self.cells.items() if cell["kind"] == kind}
        )[::-1]

    def named(self, kind: str, size: int) -> str | None:
        return next(
            (key[0] for key, cells in self.cells.items() if (cells[0]["kind"], cells[0]["size"]) == (kind, size)), None
        )


def render(results: Results) -> str:
    parts = [heading(results), "### Bounds", table(["what", "bound", "measured", ""], judge(results))]
    for workload in results.workloads:
        parts += [f"### {workload[0].upper()}{workload[1:]}", seconds(results, workload)]
    parts += ["### Processor time and memory", costs(results), remarks(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(results: Results) -> str:
    machine = "; ".join(f"{name}: {value}" for name, value in results.machine.items())
    peers = ", ".join(f"{name} ({version})" for name, version in results.peers.items())
    missing = "".join(f"\nNot measured: {name}: {why}." for name, why in results.missing.items())
    return f"Machine: {machine}.\nRunners: {peers}.{missing}"


def seconds(results: Results, workload: str) -> str:
    """Wall seconds: a row for each scenario, a column for each runner, and how many tasks have to run."""
    peers = [peer for peer in results.peers if any(results.of(workload, peer, scenario) for scenario in ORDER)]
    rows = []
    for scenario in ORDER:
        cells = [results.of(workload, peer, scenario) for peer in peers]
        if any(cells):
            due = next((cell[0]["expected"] for cell in cells if cell), None)
            rows.append([TITLES[scenario], "" if due is None else f"{due:,}", *map(wall, cells)])
    return table(["", "due", *peers], rows)


def wall(cells: list[dict]) -> str:
    """`1.23`, the median; `×3` where it is not of five; what ran where it is not what had to."""
    if not cells:
        return ""
    good = [cell for cell in cells if cell["status"] == "ok"]
    if not good:
        return {"slow": "not run: ", "cannot": "–", "failed": "fails"}[cells[0]["status"]] + (
            cells[0]["note"] if cells[0]["status"] == "slow" else ""
        )
    text = short(statistics.median(cell["wall"] for cell in good))
    if len(good) != 5:
        text += f" ×{len(good)}"
    return text + wrong(good)


def wrong(cells: list[dict]) -> str:
    """A kill interrupts as many tasks as ran at once: these may run twice."""
    due = cells[0]["expected"]
    if due is None:
        return ""
    twice = cells[0]["jobs"] if cells[0]["scenario"] == "resume" else 0
    ran = [cell["ran"] for cell in cells if not cell["expected"] <= cell["ran"] <= cell["expected"] + twice]
    return f" **ran {statistics.median_high(ran):,}**" if ran else ""


def costs(results: Results) -> str:
    """Processor seconds of the tree and memory of its largest process: the first run, and one with nothing to do."""
    peers = list(results.peers)
    rows = []
    for workload in results.workloads:
        for scenario in ("cold", "no-op"):
            cells = [cost(results, workload, peer, scenario) for peer in peers]
            if any(cells):
                rows.append([f"{workload}, {scenario}", *cells])
    return table(["CPU s, MB", *peers], rows)


def cost(results: Results, workload: str, peer: str, scenario: str) -> str:
    cpu, rss = (results.median(workload, peer, scenario, what) for what in ("cpu", "rss"))
    return "" if cpu is None else f"{short(cpu)}, {rss / 1e6:.0f}"


def remarks(results: Results) -> str:
    """What a cell has no room for: why something failed, what a runner left behind."""
    notes = []
    for (workload, peer, scenario), cells in results.cells.items():
        for text in dict.fromkeys(cell["note"] for cell in cells if cell["note"] and cell["status"] != "slow"):
            about = (
                f"{peer}, {TITLES[scenario]}"
                if cells[0]["status"] == "cannot"
                else f"{peer}, {workload}, {TITLES[scenario]}"
            )
            notes.append(f"- {about}: {text}")
    notes += [f"- {line}" for line in results.remarks]
    return "\n".join(dict.fromkeys(notes))


def short(value: float) -> str:
    return (
        f"{value:.0f}"
        if value >= 100
        else f"{value:.1f}"
        if value >= 10
        else f"{value:.2f}"
        if value >= 0.1
        else f"{value:.3f}"
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
