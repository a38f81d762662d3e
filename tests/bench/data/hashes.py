"""Row-hash aggregates (minimum, maximum, sum) of each day, from its canonical Parquet file: ours, 64 bits of BLAKE3, beside
the hashes that polars and pandas have, which are no cryptographic ones."""

from work import Run, Setting, script

PART = "hashes"


def runs(setting: Setting) -> list[Run]:
    files = setting.busy.files(setting.busy.days)
    rows = setting.busy.total(setting.busy.days)
    listed = setting.folder / "files.txt"
    listed.write_text("".join(f"{file}\n" for file in files))

    def run(peer: str, cores: int) -> Run:
        argv = [str(setting.hashes), str(listed)] if peer == "ghtrader" else script(setting, peer, "hash", listed)
        return Run(PART, f"{cores}", peer, rows, cores, argv, lambda: None)

    return [run(peer, cores) for cores in setting.cores for peer in ("ghtrader", "polars", "pandas")]
