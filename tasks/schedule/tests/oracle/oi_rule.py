"""Rule `oi` written a second time, from algorithms.md section 1 alone, on drawn markets.

Run: python oi_rule.py > oi_rule.json   (standard library only)

A market is a table day -> contract -> open interest (None: no row at the close). Nothing here is shared with the Rust
code: it scans the whole table for each day and uses fractions instead of integer products.
"""

import json
import random
from datetime import date, timedelta
from fractions import Fraction


def days(count):
    day, found = date(2021, 3, 1), []
    while len(found) < count:  # March 2021 has no Chinese holiday
        if day.weekday() < 5:
            found.append(day)
        day += timedelta(days=1)
    return found


def expiry(code):
    day = date(2000 + int(code[2:4]), int(code[4:6]), 15)
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return day


def best(table):
    top = max(table.values())
    return min((c for c in table if table[c] == top), key=lambda c: (c[2:6], c))


def mains(market, reuse):
    order, out, main, used = sorted(market), [], None, set()
    for known, day in zip(order, order[1:]):
        closes = {c: oi for c, oi in market[known].items() if oi}
        free = {c: oi for c, oi in closes.items() if c != main and expiry(c) > day and (reuse or c not in used)}
        flag = False
        if main is None or expiry(main) < day:
            main = best(free) if free else None
        elif main in closes:
            bigger = {c: oi for c, oi in free.items() if Fraction(oi, closes[main]) > Fraction(11, 10)}
            main = best(bigger) if bigger else main
        else:
            flag = True
        if main:
            used.add(main)
        out.append([str(day), main, flag])
    return out


def draw(rng):
    codes = ["cu2103", "cu2104", "cu2105", "cu2106"]
    peak = {c: rng.randrange(0, 23) for c in codes}
    market = {}
    for i, day in enumerate(days(22)):
        market[day] = {}
        for c in codes:
            oi = max(0, 40 - 4 * abs(i - peak[c]) + rng.randrange(-8, 9)) * 10
            if rng.random() < 0.05:
                oi = None
            if expiry(c) >= day:
                market[day][c] = oi
    return market


def main():
    rng, cases = random.Random(20210301), []
    for number in range(24):
        market, reuse = draw(rng), number % 2 == 1
        table = {str(day): closes for day, closes in market.items()}
        cases.append({"reuse": reuse, "market": table, "mains": mains(market, reuse)})
    print(json.dumps(cases, separators=(",", ":")))


main()
