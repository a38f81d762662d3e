"""What a user of polars would write.

usage: with_polars.py csv|parquet FILE OUT · hash LIST · main LIST FOLDER
"""

import json
import sys
from pathlib import Path

import polars


def write(source: polars.LazyFrame, out: str) -> None:
    source.sink_parquet(out, compression="zstd", compression_level=3)


def hashes(listed: str) -> None:
    for file in Path(listed).read_text().splitlines():
        rows = polars.read_parquet(file).hash_rows()
        print(len(rows), rows.min(), rows.max(), rows.wrapping_sum() if hasattr(rows, "wrapping_sum") else rows.sum())


def main_series(listed: str, folder: str) -> None:
    for day in json.loads(Path(listed).read_text()):
        entry = day["entry"]
        ticks = polars.scan_parquet(Path(day["folder"]) / "*/*.parquet").filter(polars.col("symbol") == entry["contract"])
        columns = ticks.with_columns(
            symbol=polars.lit("KQ.m@SHFE.cu"),
            underlying_contract=polars.lit(entry["contract"]),
            segment_id=polars.lit(entry["segment"], polars.Int32),
            schedule_hash=polars.lit(entry["hash"]),
        )
        write(columns, str(Path(folder) / day["out"]))


def main() -> None:
    match sys.argv[1:]:
        case ["csv", file, out]:
            write(polars.scan_csv(file), out)
        case ["parquet", file, out]:
            write(polars.scan_parquet(file), out)
        case ["hash", listed]:
            hashes(listed)
        case ["main", listed, folder]:
            main_series(listed, folder)
        case _:
            sys.exit(__doc__)


main()
