"""What a user of pandas would write.

usage: with_pandas.py csv FILE OUT · hash LIST
"""

import os
import sys
from pathlib import Path

import pandas
import pyarrow

pyarrow.set_cpu_count(int(os.environ["OMP_NUM_THREADS"]))


def hashes(listed: str) -> None:
    for file in Path(listed).read_text().splitlines():
        rows = pandas.util.hash_pandas_object(pandas.read_parquet(file), index=False)
        print(len(rows), rows.min(), rows.max(), rows.sum())


def main() -> None:
    match sys.argv[1:]:
        case ["csv", file, out]:
            pandas.read_csv(file).to_parquet(out, index=False, compression="zstd", compression_level=3)
        case ["hash", listed]:
            hashes(listed)
        case _:
            sys.exit(__doc__)


main()
