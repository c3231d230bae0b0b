"""What a study costs, as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping

from metamers.costs import SPEEDS, Costs
from metamers.study.reading import ROOT


def cost_report(costs: Costs) -> str:
    """Return a table of what a study costs, rule by rule, and in all.

    Parameters
    ----------
    costs
        Estimates of the study's jobs.
    """
    rows: dict[str, list[float]] = {}
    measured: set[str] = set()
    long: dict[str, float] = {}
    for rule, wildcards in costs.plan.jobs():
        found = costs.estimate(rule, wildcards)
        row = rows.setdefault(rule, [0, 0.0, 0.0, 0.0])
        row[0] += 1
        row[1 if found.gpu else 2] += found.processors * found.seconds / 3600
        # The shards of metamers are packed and stand twice.
        row[3] += found.storage_mb / 1000
        if found.measured:
            measured.add(rule)
        if found.seconds > 60 * costs.longest_minutes:
            long[" ".join([rule, *wildcards.values()])] = found.seconds
    rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    lines = [f"Study {costs.plan.study.name}: what all of it costs, from the start", ""]
    lines.append(
        f"{'rule':<28}{'jobs':>7}{'GPU hours':>12}{'core hours':>12}{'GB':>10}"
    )
    for rule, (jobs, gpu, core, storage) in rows.items():
        name = rule + (" *" if rule in measured else "")
        lines.append(f"{name:<28}{jobs:>7.0f}{gpu:>12.2f}{core:>12.2f}{storage:>10.2f}")
    speeds = costs.speeds["flops_per_second"]
    lines += [
        "",
        f"A GPU is taken to do {speeds['gpu']:.3g} operations a second, a core "
        f"{speeds['cpu']:.3g} ({SPEEDS.relative_to(ROOT)}).",
        "Steps that run no network are counted as "
        f"{costs.speeds['startup_seconds']['other']:g} s each until one has run.",
    ]
    if measured:
        lines.append("* After the jobs of this rule that have run for the study.")
    if long:
        lines += _advice(long, costs.longest_minutes)
    if not costs.facts:
        lines.append("The networks were not checked here: their sizes are guesses.")
    return "\n".join(lines)


def _advice(long: Mapping[str, float], longest_minutes: int) -> list[str]:
    """Say that some jobs take several attempts, and how many to allow."""
    worst = max(long, key=long.__getitem__)
    # The first attempt is no retry; one more, since each loses a little at its end.
    retries = math.ceil(long[worst] / (60 * longest_minutes))
    return [
        "",
        f"{len(long)} jobs take longer than the {longest_minutes / 60:g} hours that a "
        f"job asks for at most (longest_minutes in {SPEEDS.relative_to(ROOT)});",
        f"the longest, {worst}, takes {long[worst] / 3600:.0f}. They go on at each "
        f"attempt: run with --retries {retries}.",
    ]
