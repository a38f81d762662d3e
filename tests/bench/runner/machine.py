"""The machine that is measured on, and what is installed on it for the measurements."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from bounds import b3sum

REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"
B3SUM = "1.8.7"


def install(tools: Path) -> None:
    """The peers from PyPI in an environment of their own, and b3sum, where they are not there yet."""
    pinned = REQUIREMENTS.read_text()
    mark = tools / "installed.txt"
    if not mark.exists() or mark.read_text() != pinned:
        print("installing the peers from PyPI, as tests/bench/requirements.txt pins them", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(tools)], check=True)
        pip = subprocess.run([str(tools / "bin/pip"), "install", "--quiet", "--no-deps", "-r", str(REQUIREMENTS)])
        if pip.returncode:
            return print("they could not all be installed: what is missing is left out", file=sys.stderr)
        mark.write_text(pinned)
    if not b3sum(tools) and shutil.which("cargo"):
        print("building b3sum", file=sys.stderr)
        root = str(tools.parent / "b3sum")
        subprocess.run(["cargo", "install", "--quiet", "--locked", "--root", root, "b3sum", "--version", B3SUM])


def describe(folder: Path, jobs: int) -> dict[str, str]:
    """What the table says about the machine."""
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.0f} GiB",
        "system": f"{distribution()}, Linux {platform.release()}",
        "file system": filesystem(folder),
        "jobs": str(jobs),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def filesystem(folder: Path) -> str:
    """The type of the file system that the longest mount point above the folder has, and what is unusual about it."""
    place = str(folder.resolve())
    mounts = [line.split()[:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [mount for mount in mounts if place == mount[1] or place.startswith(mount[1].rstrip("/") + "/")]
    device, _, kind = max(above, key=lambda mount: len(mount[1]), default=("", "", "unknown"))
    name = Path(device).name
    remarks = []
    if name.startswith("loop"):
        remarks.append("in a file")
    # Without one, ext4 gives an inode again only after some time: the more was removed before, the longer it looks for another.
    if kind == "ext4" and not list(Path("/proc/fs/jbd2").glob(f"{name}-*")):
        remarks.append("without a journal")
    return f"{kind} ({', '.join(remarks)})" if remarks else kind


def free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
