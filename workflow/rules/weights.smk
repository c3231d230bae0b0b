# Needs: the network, or a local copy (weights_mirror); the registry resources/weights.yaml.
# Makes: results/weights/{public}.json, the card of a file of public weights that lies
#        beside it, and {public}_head.safetensors, the read-out of a CLIP network.
# Costs: 100 MB to 1.3 GB of download a file, where Snakemake itself runs; a read-out is
#        80,000 sentences through a text tower, a minute on a GPU. They belong to no study.


rule fetch_weights:
    """Download a file of public weights, or take it from a local copy; check it.

    The file itself is kept beside its card, where a failed job cannot lose it.
    """
    output:
        card="results/weights/{public}.json",
    log:
        "logs/weights/fetch_weights/{public}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=lasting(120),
    params:
        settings=weights_plan.settings("fetch_weights"),
        code=weights_plan.code("fetch_weights"),
    message:
        "Fetching the weights {wildcards.public}"
    script:
        "../scripts/fetch_weights.py"


rule make_zero_shot_head:
    """Make the read-out of a CLIP network from the embeddings of the classes' names."""
    input:
        card="results/weights/{public}.json",
    output:
        head="results/weights/{public}_head.safetensors",
    log:
        "logs/weights/make_zero_shot_head/{public}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        gpu=plan.gpus,
        mem_mb=growing(6000),
        # 80,000 sentences: half a minute on a GPU, two hours on a core.
        runtime=lasting(240),
    params:
        settings=weights_plan.settings("make_zero_shot_head"),
        code=weights_plan.code("make_zero_shot_head"),
    message:
        "Making the zero-shot read-out of {wildcards.public}"
    script:
        "../scripts/make_zero_shot_head.py"
