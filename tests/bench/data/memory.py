"""Peak memory of `ingest` as a file holds more days, from CSV and from Parquet."""

from ingest import beside
from work import Run, Setting

PART = "memory"


def runs(setting: Setting) -> list[Run]:
    cores = setting.cores[-1]
    return [
        run
        for kind in ("csv", "parquet")
        for days in setting.spans
        for run in beside(
            setting, PART, f"{kind} {days}", setting.year, days, setting.year.source(days, kind), cores, pandas=False
        )
    ]
