# Needs: the source that the study names (a package, or the user's own folders).
# Makes: stimuli/{modality}.h5, all that is shown, in splits; and the same as a table.
# Costs: one core, a minute or two, for the demo.


rule prepare_stimuli:
    """Gather, resize, mix and split the images or sounds of one modality.

    Folders of the user's are ancient: a change in them is not looked for, since a
    stray file would retrain every network. Remove the output to read them again.
    """
    input:
        sources=ancient(plan.stimulus_sources),
        tables=plan.stimulus_tables,
    output:
        stimuli="<results>/stimuli/{modality}.h5",
        table="<results>/stimuli/{modality}.csv",
    log:
        "<logs>/prepare_stimuli/{modality}.log",
    benchmark:
        "<benchmarks>/prepare_stimuli/{modality}.tsv"
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=costs.memory("prepare_stimuli"),
        runtime=costs.minutes("prepare_stimuli"),
    params:
        settings=plan.settings("prepare_stimuli"),
        code=plan.code("prepare_stimuli"),
    message:
        "Preparing {wildcards.modality} stimuli"
    script:
        "../scripts/prepare_stimuli.py"
