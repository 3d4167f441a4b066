"""BENCH 1, 2, 3, 7 and 8: streams through Tollgate, bare proxies and peers, in turns."""

from collections import defaultdict
from collections.abc import Callable
from statistics import median, quantiles

from bench.environment import QUESTION, Stage, Target, stage
from bench.metrics import Measure, either, ratio_of
from bench.peers import floors, peers
from bench.processes import cpu_seconds, megabytes, sampled

ROUNDS = either(5, 3)
FIRSTS, AT_ONCE = either(20, 8), 32
BURST = either(96, 32)
SLOW_ROUNDS = either(3, 1)
SLOW = f"{QUESTION} [[tokens=50 delay=0.1]]"
Figures = dict[str, list[float]]


def measured() -> tuple[list[Measure], list[str]]:
    """1, 2, 7 and 8, and what is to be said beside."""
    with stage() as running:
        others, missing = peers(running)
        ours = running.tollgate(chats=(FIRSTS + BURST) * (ROUNDS + 1) + 200)
        direct, sdk, raw = running.direct(), running.bare("sdk"), running.bare("raw")
        metered = running.bare("metered", module="bench.baseline_metered")
        beside, left_out = floors(running)
        everyone = [ours, sdk, raw, metered, *others, *beside]
        for target in (direct, *everyone):
            target.load(12, 4)
        firsts = in_turns([direct, *everyone], first_token)
        rates, costs = bursts(everyone)
        lines = first_tokens(firsts, ours, sdk, others) + streams(rates, costs, ours, raw, sdk, others)
        remarks = [*missing, *left_out, *side_by_side(everyone, firsts, rates, costs)]
    return [*lines, *memory()], remarks


def side_by_side(
    everyone: list[Target], firsts: dict[str, float], rates: dict[str, float], costs: dict[str, float]
) -> list[str]:
    """All that was measured in the same turns, metered or not."""
    direct = firsts["the provider itself"]
    return [
        f"Side by side, {target.name}: {firsts[target.name] - direct:.1f} ms added to the first token, "
        f"{rates[target.name]:.0f} streams of 100 tokens a second, {costs[target.name]:.1f} ms of CPU for each, "
        f"{megabytes(target.pid):.0f} MB"
        for target in everyone
    ]


def in_turns(targets: list[Target], measure: Callable[[Target], float]) -> dict[str, float]:
    """The median of what each round measured, A B C A B C; by name."""
    seen: Figures = defaultdict(list)
    for _ in range(ROUNDS):
        for target in targets:
            seen[target.name].append(measure(target))
    return {name: median(figures) for name, figures in seen.items()}


def first_token(target: Target) -> float:
    """Milliseconds to the first token, one at a time."""
    return median(target.load(FIRSTS, 1)["first_token_ms"])


def bursts(targets: list[Target]) -> tuple[dict[str, float], dict[str, float]]:
    """Streams per second with many at once, and milliseconds of CPU for each, by name."""
    costs: Figures = defaultdict(list)

    def burst(target: Target) -> float:
        before = cpu_seconds(target.pid)
        results = target.load(BURST, AT_ONCE)
        costs[target.name].append((cpu_seconds(target.pid) - before) * 1000 / BURST)
        return BURST / float(results["seconds"])

    rates = in_turns(targets, burst)
    return rates, {name: median(figures) for name, figures in costs.items()}


def first_tokens(seen: dict[str, float], ours: Target, sdk: Target, others: list[Target]) -> list[Measure]:
    direct = seen["the provider itself"]
    bounds = [(sdk, 1.4)] + [(peer, 0.3) for peer in others]
    return [
        ratio_of(
            1,
            f"added to the first token, one at a time, against {other.name}",
            "ms",
            seen[ours.name] - direct,
            seen[other.name] - direct,
            target=bound,
        )
        for other, bound in bounds
    ]


def streams(
    rates: dict[str, float],
    costs: dict[str, float],
    ours: Target,
    raw: Target,
    sdk: Target,
    others: list[Target],
) -> list[Measure]:
    bounds = [(raw, 0.6)] + [(peer, 8.0) for peer in others]
    name = f"streams of 100 tokens, {AT_ONCE} at once, against"
    quick = [
        ratio_of(2, f"{name} {other.name}", "/s", rates[ours.name], rates[other.name], target=bound, is_most=False)
        for other, bound in bounds
    ]
    cost = "CPU of a stream of 100 tokens, against"
    return quick + [
        ratio_of(7, f"{cost} {other.name}", "ms", costs[ours.name], costs[other.name], target=1.5)
        for other in (raw, sdk)
    ]


def memory() -> list[Measure]:
    """8, and as many streams as one process has threads for."""
    with stage() as running:
        running.environment["WEB_THREADS"] = "530"
        ours = running.tollgate(chats=720)
        ours.load(20, 8)
        return [memory_of(ours, count) for count in (200, 500)]


def memory_of(ours: Target, count: int) -> Measure:
    """The web process while so many answers run."""
    with sampled(lambda: megabytes(ours.pid)) as seen:
        ours.load(count, count, SLOW)
    most = max(seen)
    return Measure(8, f"memory of a web process, {count} streams running", f"{most:,.0f} MB", "", most, 200)


def many_slow() -> tuple[list[Measure], list[str]]:
    """3: 500 slow streams on one machine, and how the raw proxy does."""
    gaps: Figures = defaultdict(list)
    with stage() as running:
        ours, direct = running.tollgate(chats=500 * SLOW_ROUNDS + 20, processes=3), running.direct()
        raw = running.bare("raw", processes=3)
        for target in (ours, raw):
            target.load(20, 10)
        with sampled(lambda: connections(running)) as used:
            for _ in range(SLOW_ROUNDS):
                for target in (direct, raw, ours):
                    results = target.load(500, 500, SLOW)
                    gaps[target.name].append(quantiles(results["gap_ms"], n=100)[98])
        [(unsettled,)] = running.postgres.execute(
            "SELECT count(*) FROM usages WHERE state = 'running'", database="bench"
        )
    longest = {target: median(gaps[target.name]) for target in (ours, raw, direct)}
    remark = f"500 slow streams through bare Flask, raw, in the same turns: {longest[raw]:,.1f} ms"
    name = "500 slow streams of 5 s: longest gap but for 1 %"
    return [
        ratio_of(3, name, "ms", longest[ours], longest[direct], target=1.3),
        Measure(3, "500 slow streams: calls left unsettled", f"{unsettled}", "", int(str(unsettled)), 0),
        Measure(3, "500 slow streams: database connections in use", f"{max(used):.0f}", "", max(used), 20),
    ], [remark]  # fmt: skip


def connections(running: Stage) -> float:
    """How many connections the app uses at this moment; those that wait in its pools are idle."""
    counted = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'bench' AND state <> 'idle'"
    return float(str(running.postgres.execute(counted)[0][0]))


def on_sqlite() -> Measure:
    """9: sends settled per second with the default database."""
    count = either(400, 100)
    with stage(is_sqlite=True) as running:
        ours = running.tollgate(chats=count * ROUNDS + 40, processes=2)
        ours.load(40, 8, f"{QUESTION} [[tokens=10]]")
        rates = [count / float(ours.load(count, 8, f"{QUESTION} [[tokens=10]]")["seconds"]) for _ in range(ROUNDS)]
    rate = median(rates)
    return Measure(9, "SQLite: sends settled, 8 at once, no error", f"{rate:,.0f} /s", "", rate, 100, is_most=False)
