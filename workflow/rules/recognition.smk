# Needs: metamers and screening of all generators, the networks, published means.
# Makes: transfer/{block}/{evaluator}.parquet, controls/{modality}.parquet, and all
#        answers in two tables: trials.parquet and recognition.parquet.
# Costs: one GPU job a block of generators and evaluator (all networks of the block's
#        modality judge it); a control costs several shards of synthesis.


rule judge_metamers:
    """Let one network answer to the metamers of a block of generators."""
    input:
        stimuli=plan.stimuli,
        weights="<results>/models/{evaluator}/weights.safetensors",
        null="<results>/nulls/{evaluator}.h5",
        metamers=plan.metamers_of_block,
        screening=plan.screening_of_block,
    output:
        trials="<results>/transfer/{block}/{evaluator}.parquet",
    log:
        "<logs>/judge_metamers/{block}/{evaluator}.log",
    benchmark:
        "<benchmarks>/judge_metamers/{block}/{evaluator}.tsv"
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        gpu=plan.gpus,
        mem_mb=costs.memory("judge_metamers"),
        runtime=costs.minutes("judge_metamers"),
    params:
        settings=plan.settings("judge_metamers"),
        code=plan.code("judge_metamers"),
    message:
        "{wildcards.evaluator} judges the metamers of block {wildcards.block}"
    script:
        "../scripts/judge_metamers.py"


rule run_controls:
    """Optimize one stage for longer, and add noise of a metamer's size to stimuli."""
    input:
        stimuli="<results>/stimuli/{modality}.h5",
        metamers=plan.controls.metamers,
        weights=plan.controls.weights,
        nulls=plan.controls.nulls,
    output:
        trials="<results>/controls/{modality}.parquet",
    log:
        "<logs>/run_controls/{modality}.log",
    benchmark:
        "<benchmarks>/run_controls/{modality}.tsv"
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        gpu=plan.gpus,
        mem_mb=costs.memory("run_controls"),
        runtime=costs.minutes("run_controls"),
    params:
        settings=plan.settings("run_controls"),
        code=plan.code("run_controls"),
    message:
        "Running the {wildcards.modality} controls"
    script:
        "../scripts/run_controls.py"


rule collect_recognition:
    """Put all answers into one table of trials and one of proportions correct."""
    input:
        trials=plan.all_trials(),
        published=tracked("resources/published_recognition.csv"),
    output:
        trials="<results>/trials.parquet",
        recognition="<results>/recognition.parquet",
    log:
        "<logs>/collect_recognition.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=lasting(30),
    params:
        settings=plan.settings("collect_recognition"),
        code=plan.code("collect_recognition"),
    message:
        "Collecting all answers"
    script:
        "../scripts/collect_recognition.py"


rule transfer:
    """Target: what every network answers to every metamer, and the controls."""
    input:
        rules.collect_recognition.output,
        expand(
            "<results>/controls/{modality}.parquet", modality=plan.controls.modalities
        ),
