"""A market of many small files: twelve contracts of copper, gold and silver, listed as SHFE lists copper, on so many trading days.

A file is a (contract, day) with three rows. Prices and open interest are invented; the calendar is the repository's own.
"""

import datetime
import json
import pathlib

# Step of the prices and lot. Gold: 0.05 and 0.02, which both divide this.
VARIETIES = {"cu": (10, 5), "au": (0.1, 1000), "ag": (1, 15)}
BASE = {"cu": 70_000, "au": 400, "ag": 5_000}
CONTRACTS = 12
FIRST = datetime.date(2018, 1, 2)
HEADER = (
    "symbol,datetime_nano,last_price,highest,lowest,volume,amount,open_interest,"
    "bid_price1,bid_volume1,ask_price1,ask_volume1\n"
)
TIMES = ["01:00:00.500", "03:00:00.500", "06:59:59.500"]  # UTC: 09:00, 11:00 and 14:59:59 in Shanghai


def closed_days():
    root = pathlib.Path(__file__).resolve().parents[3]
    listed = json.loads((root / "tasks/market/data/chinese_holidays.json").read_text())
    return {datetime.date.fromisoformat(day) for day in listed}


def trading_days(first, count):
    closed, days, day = closed_days(), [], first
    while len(days) < count:
        if day.weekday() < 5 and day not in closed:
            days.append(day)
        day += datetime.timedelta(days=1)
    return days


def last_day(month, closed):
    """The last trading day of a month of delivery (a count of months): the 15th, or the next trading day."""
    day = datetime.date(month // 12, month % 12 + 1, 15)
    while day.weekday() >= 5 or day in closed:
        day += datetime.timedelta(days=1)
    return day


def listed(day, closed):
    """The contracts of a day: the twelve nearest months that have not expired."""
    front = day.year * 12 + day.month - 1
    if last_day(front, closed) < day:
        front += 1
    return [f"{month // 12 % 100:02}{month % 12 + 1:02}" for month in range(front, front + CONTRACTS)]


def rows(variety, code, day, rank):
    """Three rows; the open interest is the largest two months ahead, so that the main contract rolls every month."""
    tick, multiplier = VARIETIES[variety]
    price = BASE[variety] + tick * (rank + day.toordinal() % 50)
    interest = 10_000 * (CONTRACTS - abs(rank - 2))
    text = []
    for number, time in enumerate(TIMES):
        stamp = datetime.datetime.fromisoformat(f"{day}T{time}+00:00")
        ns = int(stamp.timestamp() * 1000) * 1_000_000
        last, volume = round(price + number * tick, 2), 2 * (number + 1)
        amount = round(volume * last * multiplier, 2)
        bid = round(last - tick, 2)
        text.append(
            f"SHFE.{variety}{code},{ns},{last},{last},{round(price, 2)},{volume},{amount},{interest},{bid},3,{last},4\n"
        )
    return HEADER + "".join(text)


def write(folder, days):
    """Writes the market; gives the days and how many files there are."""
    folder = pathlib.Path(folder)
    closed, count = closed_days(), 0
    text = "description: an invented market of many small files\ncalendar: china-futures\nlevels: 1\nvarieties:\n"
    for variety in VARIETIES:
        (folder / "ticks" / variety).mkdir(parents=True, exist_ok=True)
        text += f'  {variety}: {{ exchange: SHFE, files: ["ticks/{variety}/*.csv"], listing: {{ months: 12 }} }}\n'
    (folder / "market.yaml").write_text(text)
    days = trading_days(FIRST, days)
    for day in days:
        for rank, code in enumerate(listed(day, closed)):
            for variety in VARIETIES:
                path = folder / "ticks" / variety / f"{variety}{code}_{day:%Y%m%d}.csv"
                path.write_text(rows(variety, code, day, rank))
                count += 1
    return days, count
