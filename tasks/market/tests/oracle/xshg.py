"""The weekdays from 2007 to 2026 on which the Shanghai Stock Exchange is closed, as exchange_calendars has them, an
implementation and a list that are not ours.

    pip install exchange_calendars==4.13.2
    python3 xshg.py > xshg.json
"""

import json
from importlib.metadata import version

import exchange_calendars
import pandas

FIRST, LAST = "2007-01-01", "2026-12-31"
calendar = exchange_calendars.get_calendar("XSHG", start=FIRST, end=LAST)
sessions = calendar.sessions
weekdays = pandas.bdate_range(FIRST, LAST)
assert not (sessions.weekday >= 5).any(), "a session on a weekend"
closed = [day.strftime("%Y-%m-%d") for day in weekdays.difference(sessions)]
package = f"exchange_calendars {version('exchange_calendars')}, XSHG"
print(json.dumps({"package": package, "first": FIRST, "last": LAST, "sessions": len(sessions), "closed": closed}))
