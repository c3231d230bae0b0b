# What all rules share: the study, where its files lie, and what a job asks for.

from snakemake.logging import logger

from metamers.cost_report import cost_report
from metamers.costs import Costs, growing_memory
from metamers.errors import StudyError
from metamers.figures.published.catalogue import FIGURES as PUBLISHED_FIGURES
from metamers.network_check import can_check_networks, check_networks
from metamers.networks.weights_fetching import mirror_folder
from metamers.plan import Plan, tracked
from metamers.published_plan import PublishedPlan
from metamers.recognition.published.manifest import PARTS as PUBLISHED_PARTS
from metamers.stale import refuse_stale
from metamers.study.reading import missing_data
from metamers.weights_plan import WeightsPlan


def load_plan(name):
    """Read the study; what is wrong with it ends the run before any job."""
    try:
        plan = Plan(name, config.get("only"), config.get("device"))
        # Jobs read this file again, each in a process of its own.
        if workflow.is_main_process:
            if can_check_networks():
                check_networks(plan.study)
                refuse_stale(plan)
            else:
                logger.warning(
                    "torch is not installed here: the networks of the study are not "
                    "checked, and only `snakemake published` can run"
                )
    except StudyError as error:
        raise WorkflowError(str(error))
    return plan


def load_published_plan():
    """Read which parts of the published data to fetch."""
    try:
        return PublishedPlan(config)
    except StudyError as error:
        raise WorkflowError(str(error))


def load_weights_plan():
    """Read which public weights the study uses."""
    try:
        return WeightsPlan(plan.study)
    except StudyError as error:
        raise WorkflowError(str(error))


def load_costs():
    """Estimate what jobs cost; `--config longest_minutes=...` holds for one run."""
    try:
        return Costs(plan, longest_minutes=config.get("longest_minutes"))
    except StudyError as error:
        raise WorkflowError(str(error))


def report_costs(wildcards):
    """Return what the study costs, as a table."""
    return cost_report(costs)


def growing(megabytes):
    """Return a memory that grows with each attempt at a job."""

    def resource(wildcards, attempt):
        return growing_memory(megabytes, attempt)

    return resource


def lasting(minutes):
    """Return a time that grows with each attempt, up to the longest of any job."""

    def resource(wildcards, attempt):
        return costs.growing_minutes(minutes, attempt)

    return resource


plan = load_plan(config["study"])
published_plan = load_published_plan()
weights_plan = load_weights_plan()
costs = load_costs()

# Where to compute is no setting of a result: `--config device=cpu` changes no file.
config["device"] = plan.device


pathvars:
    results=plan.results,
    logs=f"logs/{plan.study.name}",
    benchmarks=f"{plan.results}/benchmarks",


wildcard_constraints:
    modality="vision|audio",
    page="|_[0-9]+",
    model="[A-Za-z0-9_-]+",
    stage="[A-Za-z0-9_-]+",
    shard="[0-9]+",
    block="[A-Za-z0-9_-]+",
    evaluator="[A-Za-z0-9_-]+",
    public="[A-Za-z0-9_-]+",


# A dry run does not ask: a study can be planned where its data are not.
onstart:
    missing = missing_data(plan.study) + weights_plan.by_hand(mirror_folder(config))
    if missing:
        raise WorkflowError(
            f"Data of the study '{plan.study.name}' are missing; nothing was started:\n  "
            + "\n  ".join(missing)
        )
