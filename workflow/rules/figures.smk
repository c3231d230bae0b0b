# Needs: the tables of statistics/, and what the figures show of stimuli and metamers;
#        for the paper's figures, the published people (downloaded, or of a local copy).
# Makes: figures/{name}.svg, .pdf, .png, and .csv with every number that is plotted; the
#        paper's figures with the study's networks in figures/paper/, of statistics/paper/.
# Costs: one core, seconds each.


rule plot_recognition_by_stage:
    """Plot recognition by stage, networks beside the published people."""
    input:
        recognition=rules.analyse_recognition.output.recognition,
        published=tracked("resources/published_recognition.csv"),
        stimuli="<results>/stimuli/{modality}.h5",
    output:
        svg=report(
            "<results>/figures/recognition_by_stage_{modality}{page}.svg",
            caption="../report/recognition_by_stage.rst",
            category="Recognition",
            labels={"figure": "recognition by stage", "modality": "{modality}{page}"},
        ),
        pdf="<results>/figures/recognition_by_stage_{modality}{page}.pdf",
        png="<results>/figures/recognition_by_stage_{modality}{page}.png",
        table="<results>/figures/recognition_by_stage_{modality}{page}.csv",
    log:
        "<logs>/plot_recognition_by_stage/{modality}{page}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("plot_recognition_by_stage"),
        code=plan.code("plot_recognition_by_stage"),
    message:
        "Drawing recognition by stage of {wildcards.modality}{wildcards.page}"
    script:
        "../scripts/plot_recognition_by_stage.py"


rule plot_examples:
    """Show one natural stimulus and its metamers, by model and stage."""
    input:
        stimuli="<results>/stimuli/{modality}.h5",
        metamers=plan.figures.metamers("plot_examples"),
        screening=plan.figures.screening("plot_examples"),
    output:
        svg=report(
            "<results>/figures/examples_{modality}{page}.svg",
            caption="../report/examples.rst",
            category="Metamers",
            labels={"figure": "examples", "modality": "{modality}{page}"},
        ),
        pdf="<results>/figures/examples_{modality}{page}.pdf",
        png="<results>/figures/examples_{modality}{page}.png",
        table="<results>/figures/examples_{modality}{page}.csv",
    log:
        "<logs>/plot_examples/{modality}{page}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("plot_examples"),
        code=plan.code("plot_examples"),
    message:
        "Drawing examples of {wildcards.modality}{wildcards.page}"
    script:
        "../scripts/plot_examples.py"


rule plot_transfer_matrix:
    """Plot who recognizes whose metamers, a matrix a stage."""
    input:
        transfer=rules.analyse_recognition.output.transfer,
    output:
        svg=report(
            "<results>/figures/transfer_matrix_{modality}.svg",
            caption="../report/transfer_matrix.rst",
            category="Recognition",
            labels={"figure": "transfer", "modality": "{modality}"},
        ),
        pdf="<results>/figures/transfer_matrix_{modality}.pdf",
        png="<results>/figures/transfer_matrix_{modality}.png",
        table="<results>/figures/transfer_matrix_{modality}.csv",
    log:
        "<logs>/plot_transfer_matrix/{modality}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("plot_transfer_matrix"),
        code=plan.code("plot_transfer_matrix"),
    message:
        "Drawing transfer of {wildcards.modality}"
    script:
        "../scripts/plot_transfer_matrix.py"


rule plot_convergence:
    """Plot the losses over the steps of the optimization."""
    input:
        metamers=plan.figures.metamers("plot_convergence"),
    output:
        svg=report(
            "<results>/figures/convergence_{modality}{page}.svg",
            caption="../report/convergence.rst",
            category="Checks",
            labels={"figure": "convergence", "modality": "{modality}{page}"},
        ),
        pdf="<results>/figures/convergence_{modality}{page}.pdf",
        png="<results>/figures/convergence_{modality}{page}.png",
        table="<results>/figures/convergence_{modality}{page}.csv",
    log:
        "<logs>/plot_convergence/{modality}{page}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("plot_convergence"),
        code=plan.code("plot_convergence"),
    message:
        "Drawing convergence of {wildcards.modality}{wildcards.page}"
    script:
        "../scripts/plot_convergence.py"


rule plot_robustness:
    """Plot robustness to attack against recognizability."""
    input:
        robustness=expand("<results>/robustness/{model}.csv", model=plan.models),
        recognition=rules.analyse_recognition.output.recognition,
        correlations=rules.analyse_correlations.output.correlations,
    output:
        svg=report(
            "<results>/figures/robustness.svg",
            caption="../report/robustness.rst",
            category="Recognition",
            labels={"figure": "robustness"},
        ),
        pdf="<results>/figures/robustness.pdf",
        png="<results>/figures/robustness.png",
        table="<results>/figures/robustness.csv",
    log:
        "<logs>/plot_robustness.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("plot_robustness"),
        code=plan.code("plot_robustness"),
    message:
        "Drawing robustness"
    script:
        "../scripts/plot_robustness.py"


rule plot_collapse:
    """Plot how near each stage brings noisy speech to clean speech."""
    input:
        collapse=expand("<results>/collapse/{model}.csv", model=plan.collapsing),
        stimuli="<results>/stimuli/audio.h5",
    output:
        svg=report(
            "<results>/figures/collapse.svg",
            caption="../report/collapse.rst",
            category="Checks",
            labels={"figure": "noisy and clean speech"},
        ),
        pdf="<results>/figures/collapse.pdf",
        png="<results>/figures/collapse.png",
        table="<results>/figures/collapse.csv",
    log:
        "<logs>/plot_collapse.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("plot_collapse"),
        code=plan.code("plot_collapse"),
    message:
        "Drawing noisy and clean speech"
    script:
        "../scripts/plot_collapse.py"


rule plot_controls:
    """Plot the controls beside the metamers."""
    input:
        controls=rules.analyse_controls.output.controls,
        stimuli=expand("<results>/stimuli/{modality}.h5", modality=plan.modalities),
    output:
        svg=report(
            "<results>/figures/controls.svg",
            caption="../report/controls.rst",
            category="Checks",
            labels={"figure": "controls"},
        ),
        pdf="<results>/figures/controls.pdf",
        png="<results>/figures/controls.png",
        table="<results>/figures/controls.csv",
    log:
        "<logs>/plot_controls.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("plot_controls"),
        code=plan.code("plot_controls"),
    message:
        "Drawing controls"
    script:
        "../scripts/plot_controls.py"


rule plot_scores:
    """Plot the scores of all models."""
    input:
        scores=rules.analyse_scores.output.scores,
    output:
        svg=report(
            "<results>/figures/scores.svg",
            caption="../report/scores.rst",
            category="Models",
            labels={"figure": "scores"},
        ),
        pdf="<results>/figures/scores.pdf",
        png="<results>/figures/scores.png",
        table="<results>/figures/scores.csv",
    log:
        "<logs>/plot_scores.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("plot_scores"),
        code=plan.code("plot_scores"),
    message:
        "Drawing scores"
    script:
        "../scripts/plot_scores.py"


rule plot_claims:
    """Plot the effect, interval and verdict of every claim about a modality."""
    input:
        claims=rules.analyse_claims.output.claims,
    output:
        svg=report(
            "<results>/figures/claims_{modality}.svg",
            caption="../report/claims.rst",
            category="Claims",
            labels={"figure": "claims", "modality": "{modality}"},
        ),
        pdf="<results>/figures/claims_{modality}.pdf",
        png="<results>/figures/claims_{modality}.png",
        table="<results>/figures/claims_{modality}.csv",
    log:
        "<logs>/plot_claims/{modality}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("plot_claims"),
        code=plan.code("plot_claims"),
    message:
        "Drawing claims of {wildcards.modality}"
    script:
        "../scripts/plot_claims.py"


rule compare_with_paper:
    """Lay the study's networks beside the published people, as the paper does."""
    input:
        recognition=rules.collect_recognition.output.recognition,
        robustness=plan.paper.attacked,
        people="results/published/recognition.parquet",
        stages=tracked("resources/published/model_stages.csv"),
    output:
        people="<results>/statistics/paper/people.parquet",
        transfer="<results>/statistics/paper/transfer.csv",
        recognition="<results>/statistics/paper/recognition.csv",
        correlations=report(
            "<results>/statistics/paper/correlations.csv",
            caption="../report/statistics.rst",
            category="Tables",
            labels={"table": "correlations with the published people"},
        ),
        adversarial="<results>/statistics/paper/adversarial.csv",
    log:
        "<logs>/compare_with_paper.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("compare_with_paper"),
        code=plan.code("compare_with_paper"),
    message:
        "Laying the networks beside the published people"
    script:
        "../scripts/compare_with_paper.py"


rule plot_paper_figure:
    """Draw a figure of the paper with the study's networks and the published people."""
    input:
        tables=plan.paper.tables,
        models=tracked("resources/published/plot_models.csv"),
        stimuli=plan.paper.stimuli,
    output:
        svg=report(
            "<results>/figures/paper/{figure}.svg",
            caption="../report/paper_figure.rst",
            category="The paper's figures with this study's networks",
            labels={"figure": "{figure}"},
        ),
        pdf="<results>/figures/paper/{figure}.pdf",
        png="<results>/figures/paper/{figure}.png",
        table="<results>/figures/paper/{figure}.csv",
    log:
        "<logs>/plot_paper_figure/{figure}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("plot_paper_figure"),
        code=plan.code("plot_paper_figure"),
    message:
        "Drawing {wildcards.figure} of the paper with the study's networks"
    script:
        "../scripts/plot_paper_figure.py"


rule paper_figures:
    """Target: the paper's figures with the study's networks, asked for or not."""
    input:
        expand("<results>/figures/paper/{figure}.svg", figure=plan.paper.figures),


rule figures:
    """Target: all figures."""
    input:
        expand("<results>/figures/{figure}.svg", figure=plan.figures.names),
        expand("<results>/figures/paper/{figure}.svg", figure=plan.paper.wanted),
