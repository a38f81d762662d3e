"""What a user of the official Python client, or of the server's exports, would write.

usage: with_questdb.py write|parquet|csv PORT TABLE LIST
"""

import io
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pandas
import polars

BATCH = 50_000


def write(port: str, table: str, files: list[str]) -> None:
    """Each file's rows as a data frame, in requests of as many rows as ours."""
    from questdb.ingress import Sender

    names = {"ticks_lake": "raw", "lake_version": "v2", "market": "bench"}
    with Sender.from_conf(f"http::addr=127.0.0.1:{port};auto_flush_rows={BATCH};auto_flush_interval=off;") as sender:
        for file in files:
            rows = pandas.read_parquet(file).assign(**names)
            rows["trading_day"] = pandas.to_datetime(rows["trading_day"])
            rows["ts"] = pandas.to_datetime(rows["datetime_ns"] // 1_000, unit="us")
            rows["row_hash"] = rows["datetime_ns"]
            symbols = ["symbol", *names]
            for begin in range(0, len(rows), BATCH):
                sender.dataframe(rows[begin : begin + BATCH], table_name=table, symbols=symbols, at="ts")
            sender.flush()


def read(port: str, table: str, files: list[str], kind: str) -> None:
    """Each slice by a query of its own, as ours."""
    for file in files:
        symbol, day = Path(file).parent.name, Path(file).stem
        condition = f"symbol = '{symbol}' AND trading_day = '{day}' AND lake_version = 'v2'"
        span = f"ts BETWEEN dateadd('d', -30, '{day}') AND dateadd('d', 3, '{day}')"
        query = f"SELECT * FROM {table} WHERE {span} AND {condition} ORDER BY datetime_ns"
        parameters = urllib.parse.urlencode({"query": query, "fmt": kind})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/exp?{parameters}") as answer:
            body = io.BytesIO(answer.read())
        rows = polars.read_parquet(body) if kind == "parquet" else pandas.read_csv(body)
        if not len(rows):
            sys.exit(f"nothing of {symbol} on {day}")


def main() -> None:
    match sys.argv[1:]:
        case ["write", port, table, listed]:
            write(port, table, Path(listed).read_text().splitlines())
        case ["parquet" | "csv" as kind, port, table, listed]:
            read(port, table, Path(listed).read_text().splitlines(), kind)
        case _:
            sys.exit(__doc__)


main()
