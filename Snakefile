# Model metamers: from a study file to its figures. What runs is said in config/, how it
# runs on a machine in profiles/, what each step does in workflow/rules/. Every target
# below can be asked for by its name; `all` is the default.
import sys

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config/config.yaml"


# The package is read from this repository, installed or not.
sys.path.insert(0, f"{workflow.basedir}/workflow")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/stimuli.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/synthesis.smk"
include: "workflow/rules/recognition.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/published.smk"


# Short steps that a cluster would spend more time scheduling than running: they run where
# Snakemake does.
localrules:
    plot_recognition_by_stage,
    plot_examples,
    plot_transfer_matrix,
    plot_convergence,
    plot_robustness,
    plot_collapse,
    plot_controls,
    plot_scores,
    plot_claims,
    compare_with_paper,
    plot_paper_figure,
    analyse_anova,
    analyse_convergence,
    analyse_noisiness,
    analyse_controls,
    build_model_page,
    build_report,
    fetch_weights,
    fetch_published,
    convert_published_people,
    convert_published_transfer,
    convert_published_regressions,
    analyse_published_anova,
    analyse_published_correlations,
    analyse_published_adversarial,
    analyse_published_reproduction,
    plot_published,
    build_published_report,


rule all:
    """Everything: statistics, figures, gallery and report."""
    default_target: True
    input:
        rules.statistics.input,
        rules.figures.input,
        rules.gallery.input,
        "<results>/report.html",


rule demo:
    """The same as all, under the name of the default study."""
    input:
        rules.all.input,
