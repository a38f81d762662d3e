"""Rows with five levels into a QuestDB, each of a slice acknowledged, and back in bulk: ours beside the official Python client,
and beside the server's own exports. A server of its own, on loopback, with the table and keys that ours makes."""

import atexit
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from work import Run, Setting, script

PART = "questdb"
ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "tests/questdb/server.sh"
TABLE = "ghtrader_ticks_raw_v2"
ROWS = 1_000_000  # about; whole days


def runs(setting: Setting) -> list[Run]:
    server = Server(setting.folder.parent / "questdb")
    days = next(
        (days for days in range(1, setting.busy.days + 1) if setting.busy.total(days) >= ROWS), setting.busy.days
    )
    files, rows = setting.busy.files(days), setting.busy.total(days)
    listed = setting.folder / "stored.txt"
    listed.write_text("".join(f"{file}\n" for file in files))
    ours = [str(setting.stores), f"questdb::http::addr=127.0.0.1:{server.port};"]
    peers = [str(server.port), TABLE, str(listed)]

    def begin() -> None:
        """The table, empty."""
        server.ask(f"DROP TABLE IF EXISTS {TABLE}")
        subprocess.run([*ours, "make", str(listed)], check=True)

    def run(case: str, peer: str, argv: list[str], prepare=lambda: None) -> Run:
        return Run(PART, case, peer, rows, setting.cores[-1], argv, prepare)

    # The reads after a write of ours, of what it wrote.
    return [
        run("write", "questdb", script(setting, "questdb", "write", *peers), begin),
        run("write", "ghtrader", [*ours, "write", str(listed)], begin),
        run("write, compare", "ghtrader", [*ours, "put", str(listed)], begin),
        run("read", "ghtrader", [*ours, "get", str(listed)]),
        run("read", "polars", script(setting, "questdb", "parquet", *peers)),
        run("read", "pandas", script(setting, "questdb", "csv", *peers)),
    ]


class Server:
    """A server on a free port, with its data in a folder that is made anew; it ends with this program."""

    def __init__(self, data: Path):
        jars = ROOT / ".tools/questdb"
        subprocess.run(["sh", str(SCRIPT), "install", str(jars)], check=True)
        shutil.rmtree(data, ignore_errors=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        words = ["sh", str(SCRIPT), "run", str(jars), str(data), str(self.port)]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(lambda: (process.kill(), process.wait(), shutil.rmtree(data, ignore_errors=True)))
        while not self.answers():
            if process.poll() is not None:
                raise SystemExit("QuestDB does not start")
            time.sleep(0.1)

    def answers(self) -> bool:
        try:
            self.ask("SELECT 1")
            return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def ask(self, query: str) -> dict:
        address = f"http://127.0.0.1:{self.port}/exec?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            return json.loads(answer.read())
