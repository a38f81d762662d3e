"""ghtrader: one flow per kind of graph, written as a user would, with axes instead of a list of tasks."""

from pathlib import Path

from peers.peer import Peer
from workloads import STAGES, SYMBOLS, Task, Workload, command, late_of, plain_of


class Ghtrader(Peer):
    name = "ghtrader"
    patience = 10  # what the bounds ask for has to be measured, however long a first run takes

    def program(self) -> str:
        return str(self.setting.ghtrader)

    def write(self, project: Path, work: Workload) -> None:
        (project / "flows").mkdir(exist_ok=True)
        lines = FLOWS[work.kind](work, self.setting.log)
        (project / "flows/bench.yaml").write_text(
            "\n".join([f"params: {{ p: {work.param}, days: {work.days} }}", "tasks:", *lines, ""])
        )

    def run(self, work: Workload) -> list[str]:
        return [self.program(), "run", "bench", "--quiet", "--jobs", str(self.setting.jobs)]

    def explain(self, work: Workload, task: Task) -> list[str]:
        return [self.program(), "explain", "bench", task.ours]

    def lineage(self, work: Workload, task: Task) -> list[str]:
        return [self.program(), "lineage", f"bench:{task.ours}.x"]


def task(name: str, reads: list[str], words: str, log: Path, **parts: str) -> list[str]:
    """A task of a flow: `reads` are the names of its inputs, in the order in which the command takes them."""
    script = command([f"$INPUT_{read.upper()}" for read in reads], words, "$OUTPUT_X", log)
    lines = [f"  {name}:", "    run: |", f"      {script}", "    outputs: { x: x.txt }"]
    return lines + [f"    {key}: {value}" for key, value in parts.items()]


WITH = {"with": '{ p: "${{ params.p }}" }'}


def fan(work: Workload, log: Path) -> list[str]:
    plain = plain_of(work.size)
    inputs = '{ a: { path: "in/${{ n }}.%s" } }' % ("bin" if work.kind == "files" else "txt")
    return [
        *task("plain", ["a"], " $MATRIX_N", log, matrix='{ n: "${{ range(%d) }}" }' % plain, inputs=inputs),
        *task(
            "scaled",
            ["a"],
            ".$PARAM_P $MATRIX_N",
            log,
            matrix='{ n: "${{ range(%d, %d) }}" }' % (plain, work.size),
            inputs=inputs,
            **WITH,
        ),
    ]


def chain(work: Workload, log: Path) -> list[str]:
    """One task that reads its own output at the instance before; what only one instance reads is absent elsewhere."""
    late = late_of(work.size)
    script = command(["${INPUT_BEFORE:-${INPUT_HEAD:-}}"], "$late${PARAM_P} $MATRIX_N", "$OUTPUT_X", log)
    begin = 'late=; [ -z "${INPUT_LATE:-}" ] || { read -r late rest <"$INPUT_LATE"; late=.$late.; }'
    return [
        "  step:",
        "    run: |",
        f"      {begin}; {script}",
        '    matrix: { n: "${{ range(%d) }}" }' % work.size,
        "    inputs:",
        '      before: { from: step.x, where: { n: "${{ n - 1 if n > 0 else none }}" }, optional: true }',
        "      head: { path: \"${{ 'in/head.txt' if n == 0 else none }}\", optional: true }",
        "      late: { path: \"${{ 'in/late.txt' if n == %d else none }}\", optional: true }" % late,
        "    with: { p: \"${{ params.p if n == %d else '' }}\" }" % late,
        "    outputs: { x: x.txt }",
    ]


def backfill(work: Workload, log: Path) -> list[str]:
    lines = []
    matrix = '{ symbol: [%s], day: "${{ range(params.days) }}" }' % ", ".join(SYMBOLS)
    for stage in range(1, STAGES + 1):
        reads = '{ path: "in/${{ symbol }}/${{ day }}.txt" }' if stage == 1 else f"{{ from: stage{stage - 1}.x }}"
        last = stage == STAGES - 1
        words = f"{'.$PARAM_P' if last else ''} {stage}/$MATRIX_SYMBOL/$MATRIX_DAY"
        more = WITH if last else {}
        lines += task(f"stage{stage}", ["a"], words, log, matrix=matrix, inputs=f"{{ a: {reads} }}", **more)
    return lines


def folder(work: Workload, log: Path) -> list[str]:
    scan = task("scan", ["a"], " scan", log, inputs="{ a: { path: in } }")
    scan[2] = scan[2].replace('"$INPUT_A"', '"$INPUT_A/0.txt"')
    return scan + task("after", ["a"], ".$PARAM_P after", log, inputs="{ a: { from: scan.x } }", **WITH)


FLOWS = {"fan": fan, "files": fan, "chain": chain, "backfill": backfill, "folder": folder}
