"""Row hashes of a tick file by another implementation, from the formula in the README alone: index figures of one CSV
file of examples/own-market (its rows are clean, but for empty and repeated ones, which are dropped here too).

    python3 row_hash.py ../../../../examples/own-market/ticks/2024-05-08.csv      # blake3
"""

import csv
import datetime
import math
import struct
import sys

from blake3 import blake3

TRADE = ["last_price", "highest", "lowest", "volume", "amount", "open_interest"]
LEVELS = [f"{name}{level}" for level in range(1, 6) for name in ["bid_price", "bid_volume", "ask_price", "ask_volume"]]

sums = {}
for row in csv.DictReader(open(sys.argv[1])):
    if not row["bid_price1"]:
        continue
    ns = int(row["datetime_ns"])
    local = datetime.datetime.fromtimestamp(ns // 10**9 + 3600, datetime.timezone.utc)
    day = (local.date() - datetime.date(1970, 1, 1)).days
    data = row["symbol"].encode() + b"\0" + struct.pack("<iq", day, ns)
    for name in TRADE + LEVELS:
        text = row.get(name) or "nan"
        value = float(text)
        data += struct.pack("<Q", 0x7FF8000000000000) if math.isnan(value) else struct.pack("<d", value)
    sums.setdefault(row["symbol"], {})[ns] = int.from_bytes(blake3(data).digest()[:8], "little")
for symbol, hashes in sorted(sums.items()):
    values = hashes.values()
    print(symbol, len(values), *(f"{x:016x}" for x in (min(values), max(values), sum(values) % 2**64)))
