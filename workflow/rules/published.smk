# Needs: the network, or a local copy of the study's public data (published_mirror).
# Makes: results/published/: the data as tables, statistics/, figures/, report.html.
# Costs: 150 MB of downloads for all parts, 0.2 MB for the people; then one core,
#        seconds a job. No GPU, no training, no torch. It belongs to no study.


wildcard_constraints:
    part="|".join(PUBLISHED_PARTS),
    figure="|".join(PUBLISHED_FIGURES),


rule fetch_published:
    """Download a part of the public data, or take it from a local copy; check it.

    The files themselves are kept beside the list, where a failed job cannot lose them.
    """
    input:
        manifest=tracked("resources/published/manifest.csv"),
    output:
        inventory="results/published/originals/{part}.csv",
    log:
        "logs/published/fetch_published/{part}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=lasting(60),
    params:
        settings=published_plan.settings("fetch_published"),
        code=published_plan.code("fetch_published"),
    message:
        "Fetching the published data: {wildcards.part}"
    script:
        "../scripts/fetch_published.py"


rule convert_published_people:
    """Read people's answers into a recognition table."""
    input:
        inventory="results/published/originals/people.csv",
    output:
        recognition="results/published/recognition.parquet",
    log:
        "logs/published/convert_published_people.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=lasting(10),
    params:
        settings=published_plan.settings("convert_published_people"),
        code=published_plan.code("convert_published_people"),
    message:
        "Reading the published answers of people"
    script:
        "../scripts/convert_published_people.py"


rule convert_published_transfer:
    """Read networks' answers to each other's metamers into a table of trials."""
    input:
        inventory="results/published/originals/transfer.csv",
    output:
        trials="results/published/transfer_trials.parquet",
        transfer="results/published/transfer.csv",
    log:
        "logs/published/convert_published_transfer.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=lasting(10),
    params:
        settings=published_plan.settings("convert_published_transfer"),
        code=published_plan.code("convert_published_transfer"),
    message:
        "Reading the published answers of networks"
    script:
        "../scripts/convert_published_transfer.py"


rule convert_published_regressions:
    """Summarize the voxel-wise regressions by region and participant."""
    input:
        inventory="results/published/originals/regressions.csv",
    output:
        voxels="results/published/voxels.csv",
    log:
        "logs/published/convert_published_regressions.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=lasting(10),
    params:
        settings=published_plan.settings("convert_published_regressions"),
        code=published_plan.code("convert_published_regressions"),
    message:
        "Reading the published regressions"
    script:
        "../scripts/convert_published_regressions.py"


rule analyse_published_anova:
    """Compute the 93 tables of analysis of variance, with their permutation tests."""
    input:
        people=rules.convert_published_people.output.recognition,
        comparisons=tracked("resources/published/comparisons.csv"),
        attacks=tracked("resources/published/adversarial_evaluations.csv"),
    output:
        anova="results/published/statistics/anova.csv",
    log:
        "logs/published/analyse_published_anova.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=lasting(20),
    params:
        settings=published_plan.settings("analyse_published_anova"),
        code=published_plan.code("analyse_published_anova"),
    message:
        "Computing the published analyses of variance"
    script:
        "../scripts/analyse_published_anova.py"


rule analyse_published_correlations:
    """Correlate people with networks, Brain-Scores and auditory cortex."""
    input:
        people=rules.convert_published_people.output.recognition,
        transfer=rules.convert_published_transfer.output.transfer,
        voxels=rules.convert_published_regressions.output.voxels,
        brain_scores="results/published/originals/brain_scores.csv",
        cortex=tracked("resources/published/fmri_stage_summary.csv"),
        stages=tracked("resources/published/model_stages.csv"),
        models=tracked("resources/published/plot_models.csv"),
    output:
        correlations="results/published/statistics/correlations.csv",
        ties="results/published/statistics/tie_ranges.csv",
        recognition="results/published/statistics/recognition_by_stage.csv",
        drop_offs="results/published/statistics/drop_offs.csv",
        brain_scores="results/published/statistics/brain_scores.csv",
        best_stages="results/published/statistics/best_stages.csv",
        voxels="results/published/statistics/voxels.csv",
    log:
        "logs/published/analyse_published_correlations.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=lasting(20),
    params:
        settings=published_plan.settings("analyse_published_correlations"),
        code=published_plan.code("analyse_published_correlations"),
    message:
        "Correlating the published recognition of people and networks"
    script:
        "../scripts/analyse_published_correlations.py"


rule analyse_published_adversarial:
    """Tabulate the published accuracy under attack."""
    input:
        attacks=tracked("resources/published/adversarial_evaluations.csv"),
        curves=tracked("resources/published/figure_curves.csv"),
    output:
        adversarial="results/published/statistics/adversarial.csv",
    log:
        "logs/published/analyse_published_adversarial.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=lasting(10),
    params:
        settings=published_plan.settings("analyse_published_adversarial"),
        code=published_plan.code("analyse_published_adversarial"),
    message:
        "Tabulating the published accuracy under attack"
    script:
        "../scripts/analyse_published_adversarial.py"


rule analyse_published_reproduction:
    """Compare every published number with ours."""
    input:
        anova=rules.analyse_published_anova.output.anova,
        correlations=rules.analyse_published_correlations.output.correlations,
        ties=rules.analyse_published_correlations.output.ties,
        anova_reference=tracked("resources/published/anova_reference.csv"),
        notebook_reference=tracked("resources/published/notebook_reference.csv"),
    output:
        reproduction="results/published/statistics/reproduction.csv",
        totals="results/published/statistics/reproduction_totals.csv",
    log:
        "logs/published/analyse_published_reproduction.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=lasting(10),
    params:
        settings=published_plan.settings("analyse_published_reproduction"),
        code=published_plan.code("analyse_published_reproduction"),
    message:
        "Comparing the published numbers with ours"
    script:
        "../scripts/analyse_published_reproduction.py"


rule plot_published:
    """Draw one figure of the paper, or of the poster of 2019."""
    input:
        published_plan.tables,
    output:
        svg=report(
            "results/published/figures/{figure}.svg",
            caption="../report/published_figure.rst",
            category="The published study",
            labels={"figure": "{figure}"},
        ),
        pdf="results/published/figures/{figure}.pdf",
        png="results/published/figures/{figure}.png",
        table="results/published/figures/{figure}.csv",
    log:
        "logs/published/plot_published/{figure}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=lasting(10),
    params:
        settings=published_plan.settings("plot_published"),
        code=published_plan.code("plot_published"),
    message:
        "Drawing {wildcards.figure} of the published study"
    script:
        "../scripts/plot_published.py"


rule build_published_report:
    """Write the page that says which published numbers come out."""
    input:
        reproduction=rules.analyse_published_reproduction.output.reproduction,
        totals=rules.analyse_published_reproduction.output.totals,
        figures=expand(
            "results/published/figures/{figure}.png", figure=PUBLISHED_FIGURES
        ),
        inventories=expand(
            "results/published/originals/{part}.csv", part=PUBLISHED_PARTS
        ),
        adversarial=rules.analyse_published_adversarial.output.adversarial,
    output:
        report=report(
            "results/published/report.html",
            caption="../report/published.rst",
            category="The published study",
            labels={"page": "reproduction"},
        ),
    log:
        "logs/published/build_published_report.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=lasting(10),
    params:
        settings=published_plan.settings("build_published_report"),
        code=published_plan.code("build_published_report"),
    message:
        "Writing the report of the published study"
    script:
        "../scripts/build_published_report.py"


rule published:
    """Target: every published number and figure that public data allow."""
    input:
        rules.build_published_report.output.report,
