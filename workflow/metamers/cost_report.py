"""What a study costs, as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping

from metamers.costs import SPEEDS, Costs
from metamers.study.reading import ROOT

# Rules whose jobs keep their state beside the output and go on from it.
RESUMED = ("train_model", "sample_null", "synthesize_metamers", "run_controls")
# What `retries` of profiles/slurm allows.
PROFILE_RETRIES = 2


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
    too_long: dict[str, float] = {}
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
            kind = long if rule in RESUMED else too_long
            kind[" ".join([rule, *wildcards.values()])] = found.seconds
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
    lines += _advice(long, too_long, costs.longest_minutes)
    if not costs.facts:
        lines.append("The networks were not checked here: their sizes are guesses.")
    return "\n".join(lines)


def _advice(
    long: Mapping[str, float], too_long: Mapping[str, float], longest_minutes: int
) -> list[str]:
    """Say which jobs take more than one attempt, and how many attempts to allow.

    Parameters
    ----------
    long, too_long
        Seconds by job: of those that go on from a saved state, and of the others.
    longest_minutes
        Which no job asks to exceed.
    """
    limit = f"{longest_minutes / 60:g} h (longest_minutes)"
    lines = []
    if long:
        # The first attempt is no retry; one more, since each loses a little at its end.
        retries = math.ceil(max(long.values()) / (60 * longest_minutes))
        lines += [
            "",
            f"Longer than a job may last, {limit}: {_longest(long)}",
            "Each attempt goes on from the saved state of the last: run with --retries "
            f"{max(retries, PROFILE_RETRIES)} (profiles/slurm has {PROFILE_RETRIES}).",
        ]
    if too_long:
        lines += [
            "",
            f"Longer than a job may last, {limit}, and without a saved state: "
            f"{_longest(too_long)}",
            "These cannot end unless longest_minutes is raised.",
        ]
    return lines


def _longest(jobs: Mapping[str, float]) -> str:
    worst = max(jobs, key=jobs.__getitem__)
    count = f"{len(jobs)} job{'' if len(jobs) == 1 else 's'}"
    return f"{count}, the longest {worst}, {jobs[worst] / 3600:.0f} h."
