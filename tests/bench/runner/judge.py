"""The bounds of the runner, judged from what was measured. Measures nothing and prints nothing."""

OURS = "ghtrader"
MILLI = 1000.0


def judge(results) -> list[list[str]]:
    """Rows of: what, bound, measured, whether it is met. Where something was not measured, the row says so."""
    return [
        noop_beside_ninja(results),
        noop_large(results),
        overhead(results),
        latency(results),
        hashing(results),
        *million(results),
    ]


def row(what: str, bound: str, measured: str | None, met: bool | None) -> list[str]:
    return [what, bound, measured or "not measured", "" if met is None else "met" if met else "**not met**"]


def noop_beside_ninja(results) -> list[str]:
    what, work = "no-op, 20,000 tasks", results.named("fan", 20_000)
    ours, ninja = (results.median(work, peer, "no-op", "wall") for peer in (OURS, "ninja"))
    if ours is None or ninja is None:
        return row(what, "≤ ninja's wall time", None, None)
    return row(what, f"≤ ninja's: {ninja:.3f} s", f"{ours:.3f} s", ours <= ninja)


def noop_large(results) -> list[str]:
    what, bound, work = "no-op, 100,000 instances", "≤ 0.5 s, ≤ 300 MB", results.named("fan", 100_000)
    wall, rss = (results.median(work, OURS, "no-op", name) for name in ("wall", "rss"))
    if wall is None:
        return row(what, bound, None, None)
    return row(what, bound, f"{wall:.2f} s, {rss / 1e6:.0f} MB", wall <= 0.5 and rss <= 300e6)


def overhead(results) -> list[str]:
    """Ours less ninja's, both with their shells; then less what bash costs over sh, measured in a loop of spawns."""
    what, bound = "CPU per cold task above ninja's own, beside what bash costs over sh", "≤ 0.3 ms"
    shells = results.extra.get("shells")
    for size, work in results.largest("fan"):
        ours, ninja, bash = (results.median(work, peer, "cold", "cpu") for peer in (OURS, "ninja", "ninja, bash"))
        if shells and ours is not None and ninja is not None:
            each = [MILLI * cpu / size for cpu in (ours, ninja)]
            over = MILLI * (shells["bash"] - shells["sh"])
            excess = each[0] - each[1] - over
            text = f"{excess:.2f} ms: ours {each[0]:.2f}, ninja with sh {each[1]:.2f}, bash over sh {over:.2f}"
            text += f" (fan of {size:,}"
            text += ")" if bash is None else f"; ninja with `sh -c 'bash -c …'` {MILLI * bash / size:.2f})"
            return row(what, bound, text, excess <= 0.3)
    return row(what, bound, None, None)


def latency(results) -> list[str]:
    what, bound = "from a task's end to its dependent's start, median", "≤ 2 ms"
    shells = results.extra.get("shells")
    for size, work in results.largest("chain"):
        hops = {
            peer: hop * MILLI
            for peer in results.peers
            if (hop := results.median(work, peer, "cold", "hop")) is not None
        }
        if OURS in hops and shells:
            others = "".join(f"; {peer} {hop:.2f}" for peer, hop in hops.items() if peer != OURS)
            bare = MILLI * shells["bash hop"]
            text = f"{hops[OURS]:.2f} ms, of which a bare bash is {bare:.2f} (chain of {size:,}{others})"
            return row(what, bound, text, hops[OURS] <= 2.0)
    return row(what, bound, None, None)


def hashing(results) -> list[str]:
    """All files touched, so all are read and hashed again, and nothing runs: the whole command's time counts."""
    what, bound = "hashing of cached files", "≥ 80 % of b3sum"
    peer = results.extra.get("b3sum")
    work = results.named("files", 8)
    wall = results.median(work, OURS, "touch", "wall")
    if not peer or wall is None:
        return row(what, bound, None, None)
    share = peer["seconds"] / wall
    rate = peer["bytes"] / 1e9
    return row(
        what,
        bound,
        f"{100 * share:.0f} %: {rate / wall:.2f} GB/s beside {rate / peer['seconds']:.2f} ({work})",
        share >= 0.8,
    )


def million(results) -> list[list[str]]:
    rows = []
    for word in ("explain", "lineage"):
        took = results.extra.get("million", {}).get(word)
        rows.append(
            row(
                f"{word} with 1,000,000 recorded results",
                "≤ 50 ms",
                took and f"{MILLI * took:.1f} ms",
                took and took <= 0.05,
            )
        )
    return rows
