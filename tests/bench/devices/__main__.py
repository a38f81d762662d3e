"""`./x bench devices`: tasks that need a device each, on four declared ones: ghtrader beside GNU make and HyperQueue.

A task writes when it began and ended, and the device it was given. It needs a device and no core, so four run at once on
any machine. Two graphs: a fan of independent tasks, and four chains.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "runner"))

from machine import describe  # noqa: E402
from measure import Log, measure  # noqa: E402

DEVICES = 4
HYPERQUEUE = "hyperqueue==0.27.0"
TASK = 's=$EPOCHREALTIME; {work}; echo "$s $EPOCHREALTIME $CUDA_VISIBLE_DEVICES {chain}" >>"{log}"'


def work(milliseconds: int) -> str:
    """For so long a device is in use and no core is."""
    return f"sleep {milliseconds / 1000:.3f}" if milliseconds else ":"


def ghtrader(folder: Path, program: Path, chains: int, length: int, task: str) -> list[str]:
    """One task with an axis for each link of the chains; a fan is a chain of one link. What a link writes differs from what
    the others do: of equal tasks, one alone would be executed."""
    flow = ["tasks:"]
    for link in range(length):
        flow += [f"  link{link}:", "    run: |", "      " + task.replace("{chain}", "$MATRIX_C") + f'; echo "$MATRIX_C {link}" >"$OUTPUT_X"']
        flow += [f"    matrix: {{ c: [{','.join(map(str, range(chains)))}] }}"]
        flow += ["    resources: { cpu: 0, gpu: 1 }", "    outputs: { x: x }"]
        if link:
            flow += [f"    inputs: {{ x: {{ from: link{link - 1} }} }}"]
    (folder / "flows").mkdir()
    (folder / "flows/bench.yaml").write_text("\n".join(flow) + "\n")
    return [str(program), "run", "bench", "-q", "--gpus", str(DEVICES), "--jobs", str(DEVICES)]


def make(folder: Path, _: Path, chains: int, length: int, task: str) -> list[str]:
    """As people do it: make starts as many as there are devices, each takes the first that `flock` finds free."""
    (folder / "device.sh").write_text(
        "for device in " + " ".join(map(str, range(DEVICES))) + "; do\n"
        '    exec 9>"device$device"\n'
        "    flock -n 9 && break\n"
        "done\n"
        "export CUDA_VISIBLE_DEVICES=$device\n"
    )
    rules = [f"all: {' '.join(f'out/{chain}.{length - 1}' for chain in range(chains))}"]
    for chain in range(chains):
        for link in range(length):
            before = f"out/{chain}.{link - 1}" if link else ""
            command = task.replace("{chain}", str(chain)).replace("$", "$$")
            rules += [f"out/{chain}.{link}: {before}", f"\t. ./device.sh; {command}; echo {chain} >$@"]
    (folder / "out").mkdir()
    (folder / "Makefile").write_text("SHELL=/bin/bash\n.SHELLFLAGS=-euo pipefail -c\n" + "\n".join(rules) + "\n")
    return ["make", "-s", f"-j{DEVICES}"]


def hyperqueue(folder: Path, python: Path, chains: int, length: int, task: str) -> list[str]:
    """Its package for Python declares no devices: a worker with four cores stands for them, and a task asks for a core."""
    script = task.replace("$CUDA_VISIBLE_DEVICES", "$HQ_CPUS").replace("{chain}", "$CHAIN")
    (folder / "bench.py").write_text(
        f"""
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from hyperqueue.ffi.protocol import ResourceRequest

with LocalCluster(worker_config=WorkerConfig(cores={DEVICES})) as cluster:
    client = cluster.client()
    job = Job()
    one = ResourceRequest(cpus=1)
    for chain in range({chains}):
        before = []
        for _ in range({length}):
            words = ["bash", "-euo", "pipefail", "-c", {script!r}]
            before = [job.program(words, env={{"CHAIN": str(chain)}}, deps=before, resources=one, stdout=None, stderr=None)]
    client.wait_for_jobs([client.submit(job)])
"""
    )
    return [str(python), "bench.py"]


def hop(log: Path) -> float | None:
    """The median of the seconds from the end of a task to the begin of the next one of its chain."""
    chains: dict[str, list[tuple[float, float]]] = {}
    for line in log.read_text().splitlines():
        begin, end, *_, chain = line.split()
        chains.setdefault(chain, []).append((float(begin), float(end)))
    hops = []
    for times in map(sorted, chains.values()):
        hops += [after[0] - before[1] for before, after in zip(times, times[1:])]
    return statistics.median(hops) if hops else None


def overlaps(log: Path) -> int:
    """How many tasks began on a device before the one before them there had ended."""
    devices: dict[str, list[tuple[float, float]]] = {}
    for line in log.read_text().splitlines():
        begin, end, device, *_ = line.split()
        devices.setdefault(device, []).append((float(begin), float(end)))
    return sum(
        after[0] < before[1] for times in map(sorted, devices.values()) for before, after in zip(times, times[1:])
    )


def installed(tools: Path) -> Path | None:
    """Python with HyperQueue, in an environment of its own."""
    python = tools / "bin/python"
    if not python.exists() or subprocess.run([python, "-c", "import hyperqueue"], stderr=subprocess.DEVNULL).returncode:
        subprocess.run([sys.executable, "-m", "venv", str(tools)], check=True)
        if subprocess.run([str(python), "-m", "pip", "install", "--quiet", HYPERQUEUE]).returncode:
            return None
    return python


def row(name: str, start, program: Path, size: tuple[int, int, int], folder: Path, repeat: int) -> str:
    chains, length, milliseconds = size
    walls, cpus, hops, wrong = [], [], [], 0
    for _ in range(repeat):
        with Log("devices") as log, tempfile.TemporaryDirectory(dir=folder) as project:
            task = TASK.replace("{work}", work(milliseconds)).replace("{log}", str(log.path))
            argv = start(Path(project), program, chains, length, task)
            env = {"PATH": os.environ["PATH"], "HOME": project, "GHTRADER_LEASES": f"{project}/leases"}
            took = measure(argv, Path(project), env, log, 600)
            if took.exit or took.ran != chains * length:
                return f"| {name} | fails: {took.words} | | | |"
            walls.append(took.wall), cpus.append(took.cpu), hops.append(hop(log.path))
            wrong += overlaps(log.path)
    tasks = chains * length
    ideal = tasks * milliseconds / 1000 / DEVICES
    over = 1000 * (statistics.median(walls) - ideal) * DEVICES / tasks
    hopped = f"{1000 * statistics.median(hops):.1f} ms" if hops[0] is not None else "–"
    cpu = 1000 * statistics.median(cpus) / tasks
    return f"| {name} | {statistics.median(walls):.2f} s | {over:.1f} ms | {cpu:.1f} ms | {hopped} | {wrong} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="./x bench devices", description=__doc__.splitlines()[0])
    parser.add_argument("--ghtrader", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--tasks", type=int, default=1000, help="of each graph (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=5, help="runs, of which the median counts (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parents[3] / "target", help="a disk, not memory")
    given = parser.parse_args()
    runners = [("ghtrader", ghtrader, given.ghtrader.absolute())]
    if shutil.which("make") and shutil.which("flock"):
        runners.append(("GNU make -j4, flock", make, Path()))
    python = installed(Path(__file__).parents[3] / ".tools/bench/hyperqueue")
    if python:
        runners.append((f"HyperQueue ({HYPERQUEUE.split('==')[1]})", hyperqueue, python))
    print("; ".join(f"{name}: {value}" for name, value in describe(given.folder, DEVICES).items()) + "\n")
    chain = given.tasks // DEVICES
    for title, size in [
        (f"fan of {given.tasks}, no work", (given.tasks, 1, 0)),
        (f"fan of {given.tasks}, 50 ms of device each", (given.tasks, 1, 50)),
        (f"{DEVICES} chains of {chain}, no work", (DEVICES, chain, 0)),
    ]:
        print(f"### {title}\n")
        print("|  | wall | device time lost per task | CPU per task | end to dependent's start | overlaps |")
        print("| --- | --- | --- | --- | --- | --- |")
        for name, start, program in runners:
            print(row(name, start, program, size, given.folder, given.repeat if size[2] == 0 else 1), flush=True)
        print()


if __name__ == "__main__":
    main()
