"""Which figures of the study are drawn from its public data, and which cannot be.

Read by the rules of the workflow at every start, hence without imports of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

# Table: where it lies, below results/published or as a tracked resource.
TABLES = {
    "people": "results/published/recognition.parquet",
    "transfer": "results/published/transfer.csv",
    "recognition": "results/published/statistics/recognition_by_stage.csv",
    "correlations": "results/published/statistics/correlations.csv",
    "brain_scores": "results/published/statistics/brain_scores.csv",
    "best_stages": "results/published/statistics/best_stages.csv",
    "adversarial": "results/published/statistics/adversarial.csv",
    "models": "resources/published/plot_models.csv",
    "curves": "resources/published/figure_curves.csv",
    "poster": "resources/published/poster_recognition.csv",
}


# Table: where it lies below the results of a study, with its networks in it.
STUDY_TABLES = {
    "people": "statistics/paper/people.parquet",
    "transfer": "statistics/paper/transfer.csv",
    "recognition": "statistics/paper/recognition.csv",
    "correlations": "statistics/paper/correlations.csv",
    "adversarial": "statistics/paper/adversarial.csv",
}


@dataclass(frozen=True)
class PublishedFigure:
    """One figure.

    Attributes
    ----------
    title
        What it shows.
    module, function
        What draws it, in `metamers.figures.published`.
    tables
        Names of `TABLES` that it reads, besides ``models``.
    caption
        What is plotted, n, and what the error bars are.
    differs
        What differs from print.
    of_study
        The caption of the figure with a study's networks; empty if it has none.
    """

    title: str
    module: str
    function: str
    tables: tuple[str, ...]
    caption: str
    differs: str = ""
    of_study: str = ""


PEOPLE = (
    "Proportion correct by stage, of people (symbols) and of the generating network on"
    " the stimuli that each person got (dashed). Mean ± 1 standard error (standard "
    "deviation with ddof 0 over the root of n) over n participants, given above each "
    "panel. Dotted: chance."
)
GROUPS = (
    "Proportion correct of the published networks on metamers of a group of "
    "generators, each network without its own. Mean over networks ± 1 standard error "
    "(standard deviation with ddof 0 over the root of their number less one)."
)
PAIRS = (
    "Proportion correct on each generator's metamers (a panel), of every other "
    "published network (gray), their mean (black) and the generator itself (dashed). n"
    " is 388 to 400 metamers a stage, those that passed the study's screening."
)
SCATTER = (
    "Each point is one stage of one model: mean proportion correct over the "
    "participants of all experiments that held the model, and mean over the other "
    "networks. No error bars. Depth: the correlation that relative depth alone gives "
    "with people, and the partial one given depth."
)
POSTER = (
    "Proportion correct of people by stage, read by eye off the pictures (± 0.02), as "
    "open symbols. 16 participants a network; error bars cannot be read."
)


# The same figures with a study's networks.
NOT_JUDGED = (
    "People judged the metamers of the published networks, not those of this study."
)
OWN_PEOPLE = (
    "Proportion correct by stage, of people (symbols) on metamers of the published "
    "networks: mean ± 1 standard error (standard deviation with ddof 0 over the root of"
    " n) over n participants, given above each panel. Dashed: this study's networks on "
    "their own metamers, those that passed the screening; ± 1 binomial standard error "
    f"over stimuli. {NOT_JUDGED} Dotted: chance of people."
)
OWN_GROUPS = (
    "Proportion correct of this study's networks on metamers of a group of generators, "
    "each network without its own. Mean over networks ± 1 standard error (standard "
    "deviation with ddof 0 over the root of their number less one). The networks are "
    "those that stand for one of the paper, are trained for the same task and are no "
    "seed siblings."
)
OWN_PAIRS = (
    "Proportion correct on each generator's metamers that passed the screening (a "
    "panel), of every other network of this study that stands for one of the paper "
    "(gray), their mean (black) and the generator itself (dashed)."
)
OWN_SCATTER = (
    "Each point is one stage of one model: mean proportion correct over the "
    "participants of all experiments that held the published model, and mean over the "
    f"other networks of this study. {NOT_JUDGED} No error bars. Depth: the correlation "
    "that relative depth alone gives with people, and the partial one given depth."
)
OWN_ROBUSTNESS = (
    "Accuracy of three networks of this study under attack with growing strength (± 1 "
    "binomial standard error over images; of the answers that the study's task has, not"
    " of ImageNet's 1000 classes), recognition of their published counterparts' "
    "metamers by 20 people (symbols) and of their own metamers by themselves (dashed), "
    f"and by the other networks of this study. {NOT_JUDGED}"
)
OWN_GAPS = (
    "Needs recordings of the brain, which are no part of this study: its networks have "
    "no points here. Those of the published networks are in results/published."
)


def _people(title: str, differs: str = "") -> PublishedFigure:
    reads = ("people",)
    return PublishedFigure(
        title, "people", "plot_people", reads, PEOPLE, differs, OWN_PEOPLE
    )


COLORS = "Models with the same stages share a panel."
DIGITIZED = "No data are published: values read off pictures."
FIGURES = {
    "figure_2c": _people("Standard vision networks"),
    "figure_2d": _people("Vision networks trained on large data sets"),
    "figure_2_audio": _people("Standard auditory networks"),
    "figure_3c": _people("Self-supervised networks", COLORS),
    "figure_3d": _people("Self-supervised and supervised AlexNetGN", COLORS),
    "figure_3_stylized": _people("Networks trained on Stylized ImageNet", COLORS),
    "figure_4": _people("Adversarial training, vision", COLORS),
    "figure_5": _people("Adversarial training, audition", COLORS),
    "figure_6d-h": PublishedFigure(
        "As robust, but not as recognizable: LowpassAlexNet and VOneAlexNet",
        "robustness",
        "plot_robustness",
        ("adversarial", "people", "transfer"),
        "Accuracy of three networks under attack with growing strength (mean of five "
        "attacks on 1,024 images ± 1 standard error), recognition of their metamers by"
        " 20 people, and by the other published networks.",
        "Strengths of attack beyond the four of the analysis of variance are read off "
        "the published vector graphics (open symbols). Panel h is of the 20 networks "
        "whose answers are published.",
        OWN_ROBUSTNESS,
    ),
    "figure_7b": PublishedFigure(
        "Brain-Score and recognition by people",
        "scatters",
        "plot_brain_scores",
        ("brain_scores", "correlations"),
        "Each point is one network: its Brain-Score of an area, and recognition by "
        "people (mean ± 1 standard error over participants) of metamers of the stage "
        "that Brain-Score chose. p of rank correlation times 4.",
        of_study=OWN_GAPS,
    ),
    "figure_7d": PublishedFigure(
        "Prediction of auditory cortex and recognition by people",
        "scatters",
        "plot_cortex",
        ("best_stages", "correlations"),
        "Each point is one network: median variance explained, corrected for noise, at"
        " the best stage (mean ± 1 standard error over 8 participants, each at the "
        "stage best for the others), and recognition by people of metamers of that "
        "stage. p of rank correlation times 5.",
        "Six of the 17 networks, and SpecTemp: the regressions of the others are not "
        "published, so that the printed correlations cannot be had.",
        OWN_GAPS,
    ),
    "figure_8b": PublishedFigure(
        "Recognition of ResNet50 metamers by other networks",
        "networks",
        "plot_groups",
        ("transfer",),
        GROUPS,
        "Answers of 20 of the 29 networks are published.",
        OWN_GROUPS,
    ),
    "figure_8d": PublishedFigure(
        "Recognition of CochResNet50 metamers by other networks",
        "networks",
        "plot_groups",
        ("transfer",),
        GROUPS,
        of_study=OWN_GROUPS,
    ),
    "figure_8e": PublishedFigure(
        "People and other networks, vision",
        "scatters",
        "plot_transfer",
        ("recognition", "correlations"),
        SCATTER,
        "20 of the 29 networks.",
        OWN_SCATTER,
    ),
    "figure_8f": PublishedFigure(
        "People and other networks, audition",
        "scatters",
        "plot_transfer",
        ("recognition", "correlations"),
        SCATTER,
        of_study=OWN_SCATTER,
    ),
    "figure_s3_vision": PublishedFigure(
        "Every vision network's metamers, by every other network",
        "networks",
        "plot_all_pairs",
        ("transfer",),
        PAIRS,
        "20 of the 29 networks.",
        OWN_PAIRS,
    ),
    "figure_s3_audio": PublishedFigure(
        "Every auditory network's metamers, by every other network",
        "networks",
        "plot_all_pairs",
        ("transfer",),
        PAIRS,
        of_study=OWN_PAIRS,
    ),
    "figure_ed4_hmax": _people("HMAX (Extended Data 4)"),
    "figure_ed_spectemp": _people("SpecTemp (Extended Data)"),
    "figure_linear_probes": PublishedFigure(
        "Linear read-outs by stage",
        "digitized",
        "plot_linear_probes",
        ("curves",),
        "Top-1 accuracy on ImageNet of a linear read-out of each stage, with the "
        "published error bars.",
        "Read off the published vector graphics.",
    ),
    "figure_poster_2": PublishedFigure(
        "Poster of 2019, panel 2: a word network",
        "digitized",
        "plot_poster",
        ("poster",),
        POSTER,
        DIGITIZED,
    ),
    "figure_poster_3": PublishedFigure(
        "Poster of 2019, panel 3: ImageNet networks",
        "digitized",
        "plot_poster",
        ("poster",),
        POSTER,
        DIGITIZED,
    ),
    "figure_poster_4": PublishedFigure(
        "Poster of 2019, panel 4: reduced aliasing",
        "digitized",
        "plot_poster",
        ("poster",),
        POSTER,
        DIGITIZED,
    ),
}

# {panel: why it is not drawn}
NOT_DRAWN = {
    "Figure 1": "A scheme of the method, not data.",
    "Figure 2a, b": "Example metamers: the study's stimuli are not published.",
    "Figure 6a-c": "Accuracy under attack of all networks is not published.",
    "Figure 7a, c": "Schemes of procedures, not data.",
    "Figure 8a, c": "A scheme, and networks whose answers are not published.",
    "Extended Data 10": "The results of representational similarity are not published; "
    "the printed correlations stand in the table of numbers.",
    "Null distributions": "Only pictures of histograms are published, not values.",
    "Poster 1": "A scheme, not data.",
    "Poster 5-8": "Described in words only: no values, no pictures.",
}


# Figures that are also drawn with a study's networks.
OF_STUDY = tuple(name for name, entry in FIGURES.items() if entry.of_study)


def table_names(figure: str, *, of_study: bool = False) -> list[str]:
    """Return the names of the tables that a figure reads, in this order.

    Parameters
    ----------
    figure
        One of `FIGURES`.
    of_study
        With a study's networks: tables that no study has are left out.
    """
    names = FIGURES[figure].tables
    kept = [name for name in names if not of_study or name in STUDY_TABLES]
    return [*kept, "models"]
