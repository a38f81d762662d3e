"""What is measured on: days of the synthetic market, invented by the kinds themselves, and the files that are made of them.

A market is copper with five levels; its days are canonical Parquet files as `ingest` writes them. A source is one file
with the rows of many days in the order of time, contracts among each other, as a recorder writes it. Everything is
kept in a folder, and made again where what it follows from has changed.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kinds import Task

HERE = Path(__file__).parent
VARIETY = "cu"
MARKET = """\
description: Invented copper for measurements
calendar: china-futures
levels: 5
synthetic: {{ seed: 1, first_day: 2022-01-04, days: {days}, rows: {rows} }}
varieties:
  cu:
    exchange: SHFE
    tick: 10
    multiplier: 5
    sessions: [["21:00:00", "25:00:00"], ["09:00:00", "10:15:00"], ["10:30:00", "11:30:00"], ["13:30:00", "15:00:00"]]
    roll: {{ rule: oi, expiry: fifteenth }}
    cost: {{ fee_ratio: 0.00005 }}
"""


@dataclass
class Market:
    """A synthetic market of so many trading days, with about so many rows of the main contract in each."""

    name: str
    days: int
    rows: int
    folder: Path
    program: Path  # ghtrader-tasks
    python: Path  # with polars

    @property
    def place(self) -> Path:
        return self.folder / self.name

    @property
    def text(self) -> str:
        return MARKET.format(days=self.days, rows=self.rows)

    def make(self) -> None:
        """Invents the days, where they are not there yet."""
        file = self.place / "market.yaml"
        if (self.place / "made").exists() and file.read_text() == self.text:
            return
        print(f"inventing {self.days} days of the market `{self.name}`", file=sys.stderr)
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        file.write_text(self.text)
        outputs = {"cells": "cells.json", "specs": "specs.json", "market": "market.json"}
        cells = Task("cells", self.place / "cells", {"market": file}, outputs, params={"root": "."})
        cells.folder.mkdir()
        cells.run(self.program)
        (self.place / "spec.json").write_text(
            json.dumps(json.loads(cells.output("specs").read_text())[VARIETY]["ticks"])
        )
        for name, cell in json.loads(cells.output("cells").read_text())[VARIETY].items():
            self.invent(name, cell)
        (self.place / "made").touch()

    def invent(self, name: str, cell: dict) -> None:
        folder = self.place / "days" / name
        folder.mkdir(parents=True)
        (folder / "cell.json").write_text(json.dumps(cell))
        inputs = {"cell": folder / "cell.json", "spec": self.spec}
        ingest(folder, inputs, name, 1).run(self.program)

    @property
    def spec(self) -> Path:
        return self.place / "spec.json"

    @cached_property
    def indexes(self) -> dict[str, dict]:
        """The day index of each day."""
        days = sorted((self.place / "days").iterdir())
        return {day.name: json.loads((day / "out/index.json").read_text()) for day in days}

    def total(self, days: int) -> int:
        """Rows of the first days, all contracts."""
        return sum(row["rows"] for index in list(self.indexes.values())[:days] for row in index["rows"])

    def ticks(self, day: str) -> Path:
        """The folder of a day's canonical files."""
        return self.place / "days" / day / "out/ticks"

    def files(self, days: int) -> list[Path]:
        """The canonical files of the first days."""
        return [path for day in list(self.indexes)[:days] for path in sorted(self.ticks(day).glob("*/*.parquet"))]

    def source(self, days: int, kind: str) -> Path:
        """One file of the first days: `csv` or `parquet`."""
        file = self.place / f"first-{days}.{kind}"
        if not file.exists():
            print(f"writing {file.name} of the market `{self.name}`", file=sys.stderr)
            aside = file.with_suffix(".part")
            folders = [str(self.ticks(day)) for day in list(self.indexes)[:days]]
            subprocess.run([str(self.python), str(HERE / "peers/source.py"), kind, str(aside), *folders], check=True)
            aside.rename(file)
        return file


def ingest(folder: Path, inputs: dict[str, Path], cell: str, cpus: int) -> Task:
    return Task("ingest", folder, inputs, {"ticks": "ticks/", "index": "index.json"}, {"cell": cell}, cpus=cpus)
