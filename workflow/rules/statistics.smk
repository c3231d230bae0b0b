# Needs: trials.parquet, and the tables of screening, robustness, collapse and controls.
# Makes: statistics/*.csv, a table for each question; every analysis of metamers stands
#        in them with and without those that failed the screening.
# Costs: one core, seconds to a few minutes.


rule analyse_recognition:
    """Summarize who recognizes whose metamers, by stage and by pair of networks."""
    input:
        trials=rules.collect_recognition.output.trials,
    output:
        recognition=report(
            "<results>/statistics/recognition_by_stage.csv",
            caption="../report/statistics.rst",
            category="Tables",
            labels={"table": "recognition by stage"},
        ),
        transfer=report(
            "<results>/statistics/transfer.csv",
            caption="../report/statistics.rst",
            category="Tables",
            labels={"table": "transfer"},
        ),
    log:
        "<logs>/analyse_recognition.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("analyse_recognition"),
        code=plan.code("analyse_recognition"),
    message:
        "Analysing recognition"
    script:
        "../scripts/analyse_recognition.py"


rule analyse_anova:
    """Compare each standard model with the others of its stages, as the paper does."""
    input:
        transfer=rules.analyse_recognition.output.transfer,
    output:
        anova=report(
            "<results>/statistics/anova.csv",
            caption="../report/statistics.rst",
            category="Tables",
            labels={"table": "analysis of variance"},
        ),
    log:
        "<logs>/analyse_anova.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("analyse_anova"),
        code=plan.code("analyse_anova"),
    message:
        "Comparing models by analysis of variance"
    script:
        "../scripts/analyse_anova.py"


rule analyse_correlations:
    """Correlate recognition with robustness and distance, and with depth alone."""
    input:
        recognition=rules.analyse_recognition.output.recognition,
        robustness=expand("<results>/robustness/{model}.csv", model=plan.models),
    output:
        correlations=report(
            "<results>/statistics/correlations.csv",
            caption="../report/statistics.rst",
            category="Tables",
            labels={"table": "correlations"},
        ),
    log:
        "<logs>/analyse_correlations.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("analyse_correlations"),
        code=plan.code("analyse_correlations"),
    message:
        "Analysing correlations"
    script:
        "../scripts/analyse_correlations.py"


rule analyse_controls:
    """Compare longer optimization, and noise of the same error, with the metamers."""
    input:
        controls=expand(
            "<results>/controls/{modality}.parquet", modality=plan.controls.modalities
        ),
    output:
        controls=report(
            "<results>/statistics/controls.csv",
            caption="../report/statistics.rst",
            category="Tables",
            labels={"table": "controls"},
        ),
    log:
        "<logs>/analyse_controls.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("analyse_controls"),
        code=plan.code("analyse_controls"),
    message:
        "Analysing the controls"
    script:
        "../scripts/analyse_controls.py"


rule analyse_convergence:
    """Summarize losses, own match and screening of every stage."""
    input:
        screening=expand("<results>/screening/{model}.csv", model=plan.models),
    output:
        convergence=report(
            "<results>/statistics/convergence.csv",
            caption="../report/statistics.rst",
            category="Tables",
            labels={"table": "convergence"},
        ),
    log:
        "<logs>/analyse_convergence.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("analyse_convergence"),
        code=plan.code("analyse_convergence"),
    message:
        "Analysing convergence"
    script:
        "../scripts/analyse_convergence.py"


rule analyse_noisiness:
    """Compare how noise-like metamers and their references are."""
    input:
        screening=expand("<results>/screening/{model}.csv", model=plan.models),
    output:
        noisiness=report(
            "<results>/statistics/noisiness.csv",
            caption="../report/statistics.rst",
            category="Tables",
            labels={"table": "noisiness"},
        ),
    log:
        "<logs>/analyse_noisiness.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("analyse_noisiness"),
        code=plan.code("analyse_noisiness"),
    message:
        "Analysing how noise-like metamers are"
    script:
        "../scripts/analyse_noisiness.py"


rule analyse_scores:
    """Score every model: one line each."""
    input:
        trials=rules.collect_recognition.output.trials,
        screening=expand("<results>/screening/{model}.csv", model=plan.models),
        robustness=expand("<results>/robustness/{model}.csv", model=plan.models),
        cards=rules.models.input,
        published=tracked("resources/published_recognition.csv"),
    output:
        scores=report(
            "<results>/statistics/scores.csv",
            caption="../report/statistics.rst",
            category="Tables",
            labels={"table": "scores"},
        ),
    log:
        "<logs>/analyse_scores.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("analyse_scores"),
        code=plan.code("analyse_scores"),
    message:
        "Scoring the models"
    script:
        "../scripts/analyse_scores.py"


rule analyse_claims:
    """Measure and judge every claim, by rules that were fixed before."""
    input:
        trials=rules.collect_recognition.output.trials,
        robustness=expand("<results>/robustness/{model}.csv", model=plan.models),
        collapse=expand("<results>/collapse/{model}.csv", model=plan.collapsing),
        claims=tracked(plan.study.statistics.claims),
    output:
        claims=report(
            "<results>/statistics/claims.csv",
            caption="../report/statistics.rst",
            category="Tables",
            labels={"table": "claims"},
        ),
    log:
        "<logs>/analyse_claims.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("analyse_claims"),
        code=plan.code("analyse_claims"),
    message:
        "Judging the claims"
    script:
        "../scripts/analyse_claims.py"


rule statistics:
    """Target: all tables."""
    input:
        rules.analyse_recognition.output,
        rules.analyse_anova.output,
        rules.analyse_correlations.output,
        rules.analyse_controls.output if plan.controls.modalities else [],
        rules.analyse_convergence.output,
        rules.analyse_noisiness.output,
        rules.analyse_scores.output,
        rules.analyse_claims.output,
