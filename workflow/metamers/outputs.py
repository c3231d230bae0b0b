"""The files that each rule of the workflow makes."""

from __future__ import annotations

FIGURE_KINDS = ("svg", "pdf", "png", "csv")
# Figures of a modality, and of the whole study.
MODALITY_FIGURES = (
    "recognition_by_stage",
    "examples",
    "transfer_matrix",
    "claims",
    "convergence",
)
STUDY_FIGURES = ("robustness", "collapse", "controls", "scores")
# Figures that grow with the models have pages, so that each fits a sheet of A4.
MOST_ON_A_PAGE = {"recognition_by_stage": 8, "examples": 8, "convergence": 20}
PAGES = dict.fromkeys(MOST_ON_A_PAGE, "{page}")

# What each rule makes, below the results of the study. The rules say it themselves;
# here it serves to find results that no rule has made (metamers.stale).
OUTPUTS: dict[str, tuple[str, ...]] = {
    "prepare_stimuli": ("stimuli/{modality}.h5", "stimuli/{modality}.csv"),
    "train_model": (
        "models/{model}/weights.safetensors",
        "models/{model}/training.csv",
    ),
    "sample_null": ("nulls/{model}.h5",),
    "measure_robustness": ("robustness/{model}.csv", "models/{model}/card.json"),
    "measure_collapse": ("collapse/{model}.csv",),
    "synthesize_metamers": ("metamers/{model}/{stage}/{shard}.h5",),
    "screen_metamers": ("metamers/{model}.h5", "screening/{model}.csv"),
    "judge_metamers": ("transfer/{block}/{evaluator}.parquet",),
    "run_controls": ("controls/{modality}.parquet",),
    "collect_recognition": ("trials.parquet", "recognition.parquet"),
    "analyse_recognition": (
        "statistics/recognition_by_stage.csv",
        "statistics/transfer.csv",
    ),
    "analyse_anova": ("statistics/anova.csv",),
    "analyse_correlations": ("statistics/correlations.csv",),
    "analyse_controls": ("statistics/controls.csv",),
    "analyse_convergence": ("statistics/convergence.csv",),
    "analyse_noisiness": ("statistics/noisiness.csv",),
    "analyse_scores": ("statistics/scores.csv",),
    "analyse_claims": ("statistics/claims.csv",),
    **{
        f"plot_{name}": tuple(
            f"figures/{name}_{{modality}}{PAGES.get(name, '')}.{kind}"
            for kind in FIGURE_KINDS
        )
        for name in MODALITY_FIGURES
    },
    **{
        f"plot_{name}": tuple(f"figures/{name}.{kind}" for kind in FIGURE_KINDS)
        for name in STUDY_FIGURES
    },
    "compare_with_paper": tuple(
        f"statistics/paper/{name}"
        for name in (
            "people.parquet",
            "transfer.csv",
            "recognition.csv",
            "correlations.csv",
            "adversarial.csv",
        )
    ),
    "plot_paper_figure": tuple(
        f"figures/paper/{{figure}}.{kind}" for kind in FIGURE_KINDS
    ),
    "build_model_page": ("pages/{model}.html",),
    "build_gallery": ("gallery",),
    "build_report": ("report.html",),
}
