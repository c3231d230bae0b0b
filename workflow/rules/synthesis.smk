# Needs: stimuli/{modality}.h5, models/{model}/weights.safetensors, nulls/{model}.h5.
# Makes: metamers/{model}/{stage}/{shard}.h5; packed with the verdict of the screening,
#        metamers/{model}.h5 and screening/{model}.csv.
# Costs: the bulk of a study: one GPU job a model, stage and shard of stimuli. A job
#        that is stopped goes on where it was: its state lies beside the output.


rule synthesize_metamers:
    """Make the metamers of one shard of natural stimuli at one stage of a model."""
    input:
        stimuli=plan.stimuli,
        weights=rules.train_model.output.weights,
    output:
        metamers="<results>/metamers/{model}/{stage}/{shard}.h5",
    log:
        "<logs>/synthesize_metamers/{model}/{stage}/{shard}.log",
    benchmark:
        "<benchmarks>/synthesize_metamers/{model}/{stage}/{shard}.tsv"
    conda:
        "../../envs/metamers.yaml"
    threads: plan.synthesis_threads
    resources:
        gpu=plan.gpus,
        mem_mb=costs.memory("synthesize_metamers"),
        runtime=costs.minutes("synthesize_metamers"),
    params:
        settings=plan.settings("synthesize_metamers"),
        code=plan.code("synthesize_metamers"),
    message:
        "Synthesizing metamers of {wildcards.model} at {wildcards.stage}, shard {wildcards.shard}"
    script:
        "../scripts/synthesize_metamers.py"


rule screen_metamers:
    """Mark which metamers of a model pass, with the reason where one fails."""
    input:
        shards=plan.shards_of_model,
        stimuli=plan.stimuli,
        null=rules.sample_null.output.null,
    output:
        metamers="<results>/metamers/{model}.h5",
        screening="<results>/screening/{model}.csv",
    log:
        "<logs>/screen_metamers/{model}.log",
    benchmark:
        "<benchmarks>/screen_metamers/{model}.tsv"
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=costs.memory("screen_metamers"),
        runtime=costs.minutes("screen_metamers"),
    params:
        settings=plan.settings("screen_metamers"),
        code=plan.code("screen_metamers"),
    message:
        "Screening the metamers of {wildcards.model}"
    script:
        "../scripts/screen_metamers.py"


rule metamers:
    """Target: the metamers of all models, screened."""
    input:
        expand("<results>/screening/{model}.csv", model=plan.models),
