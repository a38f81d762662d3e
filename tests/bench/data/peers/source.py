"""Writes one file with the rows of many days, in the order of time. usage: source.py csv|parquet FILE DAY…"""

import sys
from pathlib import Path

import polars
import pyarrow
import pyarrow.parquet

LEFT_OUT = ["trading_day"]  # TqSdk's files have none


def main() -> None:
    kind, file, *folders = sys.argv[1:]
    days = (polars.read_parquet(Path(folder) / "**/*.parquet").sort("datetime_ns", "symbol") for folder in folders)
    days = (day.drop(LEFT_OUT) for day in days)
    if kind == "csv":
        with open(file, "wb") as out:
            for number, day in enumerate(days):
                day.write_csv(out, include_header=number == 0)
    else:
        writer = None
        for day in days:
            table = day.to_arrow(compat_level=polars.CompatLevel.oldest())
            writer = writer or pyarrow.parquet.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
        writer.close()


main()
