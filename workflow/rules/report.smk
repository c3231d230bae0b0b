# Needs: everything before.
# Makes: pages/{model}.html, a page a model; gallery/, all metamers as PNG and WAV;
#        report.html, which leads to all of it.
# Costs: one core, a minute or two. The showcase, apart from any study: some minutes on
#        all cores.


rule build_model_page:
    """Write the page of one model: curves, nulls, recognition, examples."""
    input:
        card=rules.measure_robustness.output.card,
        training=rules.train_model.output.training,
        stimuli=plan.stimuli,
        null=rules.sample_null.output.null,
        metamers=rules.screen_metamers.output.metamers,
        screening=rules.screen_metamers.output.screening,
        recognition=rules.analyse_recognition.output.recognition,
        published=tracked("resources/published_recognition.csv"),
    output:
        page=report(
            "<results>/pages/{model}.html",
            caption="../report/model_page.rst",
            category="Models",
            labels={"model": "{model}"},
        ),
    log:
        "<logs>/build_model_page/{model}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("build_model_page"),
        code=plan.code("build_model_page"),
    message:
        "Writing the page of {wildcards.model}"
    script:
        "../scripts/build_model_page.py"


rule build_gallery:
    """Write all metamers as PNG and WAV, with a page to look through them."""
    input:
        stimuli=expand("<results>/stimuli/{modality}.h5", modality=plan.modalities),
        metamers=expand("<results>/metamers/{model}.h5", model=plan.models),
        screening=expand("<results>/screening/{model}.csv", model=plan.models),
    output:
        gallery=report(
            directory("<results>/gallery"),
            htmlindex="index.html",
            caption="../report/gallery.rst",
            category="Metamers",
            labels={"page": "gallery"},
        ),
    log:
        "<logs>/build_gallery.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("build_gallery"),
        code=plan.code("build_gallery"),
    message:
        "Building the gallery"
    script:
        "../scripts/build_gallery.py"


rule build_report:
    """Write the report, one page that leads to everything."""
    input:
        figures=rules.figures.input,
        statistics=rules.statistics.input,
        claims=rules.analyse_claims.output.claims,
        scores=rules.analyse_scores.output.scores,
        convergence=rules.analyse_convergence.output.convergence,
        stimuli=expand("<results>/stimuli/{modality}.h5", modality=plan.modalities),
        pages=expand("<results>/pages/{model}.html", model=plan.models),
        gallery=rules.build_gallery.output.gallery,
    output:
        report=report(
            "<results>/report.html",
            caption="../report/report.rst",
            category="Front page",
            labels={"page": "front page"},
        ),
    log:
        "<logs>/build_report.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=lasting(30),
    params:
        settings=plan.settings("build_report"),
        code=plan.code("build_report"),
    message:
        "Writing the report"
    script:
        "../scripts/build_report.py"


rule gallery:
    """Target: all metamers as pictures and sounds."""
    input:
        rules.build_gallery.output.gallery,


rule plot_showcase:
    """Show metamers of a genuine ImageNet network, which digits cannot show.

    It belongs to no study; its network and photograph come with installed packages.
    """
    output:
        svg=report(
            "results/showcase/showcase.svg",
            caption="../report/showcase.rst",
            category="Metamers",
            labels={"figure": "showcase"},
        ),
        pdf="results/showcase/showcase.pdf",
        png="results/showcase/showcase.png",
        table="results/showcase/showcase.csv",
    log:
        "logs/showcase.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 8
    resources:
        mem_mb=growing(3000),
        runtime=lasting(60),
    params:
        settings=plan.settings("plot_showcase"),
        code=plan.code("plot_showcase"),
    message:
        "Making metamers of an ImageNet network from one photograph"
    script:
        "../scripts/plot_showcase.py"


rule showcase:
    """Target: the metamers of an ImageNet network."""
    input:
        rules.plot_showcase.output,


rule plan:
    """Target: print what the study costs; `snakemake -n plan`, or `metamers plan`."""
    params:
        report=report_costs,
    message:
        "{params.report}"
