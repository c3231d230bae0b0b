# Needs: stimuli/{modality}.h5; for a network with given weights, their file or card
#        (weights.smk).
# Makes: models/{model}/ (weights, training curve, card), nulls/{model}.h5,
#        robustness/{model}.csv, and for auditory networks collapse/{model}.csv.
# Costs: one job a model and rule, on a GPU where the study may use one; training on as
#        many GPUs of one node as its recipe says. It is resumed where it was stopped: its
#        state lies beside the output until then.


rule train_model:
    """Train a network, take over its given weights, or leave it untrained."""
    input:
        stimuli=plan.stimuli,
        weights=plan.given_weights,
        head=plan.given_head,
    output:
        weights="<results>/models/{model}/weights.safetensors",
        training="<results>/models/{model}/training.csv",
    log:
        "<logs>/train_model/{model}.log",
    benchmark:
        "<benchmarks>/train_model/{model}.tsv"
    conda:
        "../../envs/metamers.yaml"
    threads: plan.training_threads
    resources:
        gpu=plan.training_gpus,
        nodes=1,
        mem_mb=costs.memory("train_model"),
        runtime=costs.minutes("train_model"),
    params:
        settings=plan.settings("train_model"),
        code=plan.code("train_model"),
    message:
        "Training {wildcards.model}"
    script:
        "../scripts/train_model.py"


rule sample_null:
    """Measure how alike a network's stages make two different natural stimuli."""
    input:
        stimuli=plan.stimuli,
        weights=rules.train_model.output.weights,
    output:
        null="<results>/nulls/{model}.h5",
    log:
        "<logs>/sample_null/{model}.log",
    benchmark:
        "<benchmarks>/sample_null/{model}.tsv"
    conda:
        "../../envs/metamers.yaml"
    threads: plan.reading_threads
    resources:
        gpu=plan.gpus,
        mem_mb=costs.memory("sample_null"),
        runtime=costs.minutes("sample_null"),
    params:
        settings=plan.settings("sample_null"),
        code=plan.code("sample_null"),
    message:
        "Sampling the null distributions of {wildcards.model}"
    script:
        "../scripts/sample_null.py"


rule measure_robustness:
    """Attack a network with growing strength, and write the card of the model.

    The card is written here because it holds the robust accuracy.
    """
    input:
        stimuli=plan.stimuli,
        weights=rules.train_model.output.weights,
        training=rules.train_model.output.training,
    output:
        robustness="<results>/robustness/{model}.csv",
        card="<results>/models/{model}/card.json",
    log:
        "<logs>/measure_robustness/{model}.log",
    benchmark:
        "<benchmarks>/measure_robustness/{model}.tsv"
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        gpu=plan.gpus,
        mem_mb=costs.memory("measure_robustness"),
        runtime=costs.minutes("measure_robustness"),
    params:
        settings=plan.settings("measure_robustness"),
        code=plan.code("measure_robustness"),
    message:
        "Attacking {wildcards.model}"
    script:
        "../scripts/measure_robustness.py"


rule measure_collapse:
    """Measure how near each stage brings noisy speech to the clean clip."""
    input:
        stimuli=plan.stimuli,
        weights=rules.train_model.output.weights,
    output:
        collapse="<results>/collapse/{model}.csv",
    log:
        "<logs>/measure_collapse/{model}.log",
    benchmark:
        "<benchmarks>/measure_collapse/{model}.tsv"
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        gpu=plan.gpus,
        mem_mb=costs.memory("measure_collapse"),
        runtime=costs.minutes("measure_collapse"),
    params:
        settings=plan.settings("measure_collapse"),
        code=plan.code("measure_collapse"),
    message:
        "Comparing noisy with clean speech in {wildcards.model}"
    script:
        "../scripts/measure_collapse.py"


rule models:
    """Target: all networks, with their cards."""
    input:
        expand("<results>/models/{model}/card.json", model=plan.models),
