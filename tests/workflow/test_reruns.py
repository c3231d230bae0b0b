"""What a change makes Snakemake run again: exactly what it touches."""

from __future__ import annotations

import os
import re

import pytest
import yaml

STUDY = "config/studies/tiny.yaml"
STAGES = {
    "net": ["relu0", "final"],
    "perturbed": ["relu0", "final"],
    "coch": ["cochleagram"],
}
SUMMARIES = {
    "Collecting all answers",
    "Analysing recognition",
    "Comparing models by analysis of variance",
    "Analysing correlations",
    "Scoring the models",
    "Judging the claims",
    "Drawing recognition by stage of vision",
    "Drawing recognition by stage of audio",
    "Drawing transfer of vision",
    "Drawing transfer of audio",
    "Drawing robustness",
    "Drawing scores",
    "Drawing claims of vision",
    "Drawing claims of audio",
    "Writing the page of net",
    "Writing the page of perturbed",
    "Writing the page of coch",
    "Writing the report",
}
# What shows the metamers and their screening, besides.
METAMERS = {
    "Analysing convergence",
    "Analysing how noise-like metamers are",
    "Drawing examples of vision",
    "Drawing convergence of vision",
    "Building the gallery",
}
CONTROLS = {"Running the vision controls", "Analysing the controls", "Drawing controls"}
JUDGING = {
    f"{name} judges the metamers of block vision" for name in ("net", "perturbed")
}


def synthesis(model: str, stages: list[str] | None = None) -> set[str]:
    """Return the jobs that make a model's metamers and screen them."""
    made = {
        f"Synthesizing metamers of {model} at {stage}, shard 000"
        for stage in stages or STAGES[model]
    }
    return made | {f"Screening the metamers of {model}"}


def network(model: str) -> set[str]:
    """Return the jobs that look at a network."""
    return {f"Sampling the null distributions of {model}", f"Attacking {model}"}


@pytest.fixture
def copied(finished, tmp_path):
    """Return a copy of the finished run, for changing."""
    return finished.copy(tmp_path / "repository")


def change(clone, place: list[str], value: object) -> None:
    """Change one field of the study; None removes it."""
    path = clone.folder / STUDY
    study = yaml.safe_load(path.read_text())
    section = study
    for key in place[:-1]:
        section = section[key]
    if value is None:
        del section[place[-1]]
    else:
        section[place[-1]] = value
    path.write_text(yaml.safe_dump(study, sort_keys=False))


def test_first_run_plans_every_job_once(clone):
    text = clone.snakemake("-n")
    jobs = re.findall(r"^Job \d+: (.+)$", text, flags=re.MULTILINE)
    assert len(jobs) == len(set(jobs))
    expected = {"Preparing vision stimuli", "Preparing audio stimuli"}
    expected |= {f"Training {name}" for name in STAGES}
    for name in STAGES:
        expected |= network(name) | synthesis(name)
    expected |= JUDGING | {"coch judges the metamers of block audio"}
    expected |= {"Comparing noisy with clean speech in coch"}
    expected |= SUMMARIES | METAMERS | CONTROLS
    expected |= {"Drawing examples of audio", "Drawing convergence of audio"}
    expected |= {"Drawing noisy and clean speech"}
    assert set(jobs) == expected


def test_second_run_plans_nothing(finished):
    assert finished.planned() == set()


def test_copied_with_its_records_plans_nothing(finished, tmp_path):
    copied = finished.copy(tmp_path / "repository")
    # As after a checkout and a copy that keeps no times: all are new, in any order.
    for folder, _, names in os.walk(copied.folder):
        if ".snakemake" not in folder:
            for number, name in enumerate(names):
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    os.utime(path, (2e9 - number, 2e9 - number))
    assert copied.planned() == set()


def test_epsilon_of_one_model(copied):
    place = ["models", "perturbed", "training", "perturbation", "epsilon"]
    change(copied, place, 2.0)
    assert copied.planned() == (
        {"Training perturbed"}
        | network("perturbed")
        | synthesis("perturbed")
        | JUDGING
        | CONTROLS
        | METAMERS
        | SUMMARIES
    )


def test_stage_list_of_one_model(copied):
    stages = {"relu0": "relu0", "relu1": "relu1", "final": "final"}
    change(copied, ["models", "net", "stages"], stages)
    summaries = SUMMARIES | {"Drawing convergence of vision"}
    assert copied.planned() == (
        network("net")
        | synthesis("net", ["relu1"])
        | JUDGING
        | CONTROLS
        | METAMERS
        | summaries
    )


def test_synthesis_steps(copied):
    change(copied, ["synthesis", "vision", "steps_per_round"], 4)
    made = synthesis("net") | synthesis("perturbed")
    assert copied.planned() == made | JUDGING | CONTROLS | METAMERS | SUMMARIES


def test_synthesis_code(copied):
    copied.add_code("workflow/metamers/synthesis/initial.py")
    made = synthesis("net") | synthesis("perturbed") | synthesis("coch")
    made |= {"coch judges the metamers of block audio"}
    shown = {"Drawing examples of audio", "Drawing convergence of audio"}
    assert copied.planned() == made | JUDGING | CONTROLS | METAMERS | SUMMARIES | shown


def test_figure_code(copied):
    copied.add_code("workflow/metamers/figures/claims.py")
    drawn = {"Drawing claims of vision", "Drawing claims of audio"}
    assert copied.planned() == drawn | {"Writing the report"}


def test_script_code(copied):
    copied.add_code("workflow/scripts/plot_scores.py")
    assert copied.planned() == {"Drawing scores", "Writing the report"}


def test_adding_a_model_from_a_drop_in_file(copied):
    folder = copied.folder / "config" / "studies" / "tiny.d"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        "models:\n"
        "  mine:\n"
        "    architecture: metamers:SmallResNet\n"
        "    arguments: {classes: 10, channels: 1}\n"
        "    task: digits\n"
        "    stages: {layer1: layer1}\n"
    )
    judging = {f"{name} judges the metamers of block mine" for name in ("net", "mine")}
    judging |= {
        "perturbed judges the metamers of block mine",
        "mine judges the metamers of block vision",
    }
    assert copied.planned() == (
        {"Training mine", "Writing the page of mine", "Analysing the controls"}
        | {"Drawing controls"}
        | network("mine")
        | synthesis("mine", ["layer1"])
        | judging
        | METAMERS
        | SUMMARIES
    )


def test_removing_a_model(copied):
    change(copied, ["models", "perturbed"], None)
    assert copied.planned() == (
        {"net judges the metamers of block vision"}
        | CONTROLS
        | METAMERS
        | (SUMMARIES - {"Writing the page of perturbed"})
    )


def test_comments_docstrings_and_layout(copied):
    for path in sorted((copied.folder / "workflow").rglob("*.py")):
        text = path.read_text()
        path.write_text(text.replace('"""', '"""Edited. ', 1) + "\n\n# A comment.\n")
    assert copied.planned() == set()


def test_new_field_of_the_schema(copied):
    for place in ("synthesis settings", "models"):
        name, section = {
            "synthesis settings": ("settings", "class SynthesisSettings(Section):"),
            "models": ("models", "class Training(Section):"),
        }[place]
        path = copied.folder / "workflow" / "metamers" / "study" / f"{name}.py"
        before, after = path.read_text().split(section)
        docstring, rest = after.split('"""\n', 1)
        field = '\n    novelty: bool = Field(False, description="new")\n'
        path.write_text(f'{before}{section}{docstring}"""\n{field}{rest}')
    assert copied.planned() == set()


def test_new_architecture(copied):
    networks = copied.folder / "workflow" / "metamers" / "networks"
    (networks / "brand_new.py").write_text((networks / "alexnet.py").read_text())
    registry = "workflow/metamers/networks/registry.py"
    new = 'ARCHITECTURES = {\n    "BrandNew": "metamers.networks.brand_new",'
    copied.edit(registry, "ARCHITECTURES = {", new)
    assert copied.planned() == set()


def test_removing_an_output_makes_it_again(copied):
    (copied.folder / "results" / "tiny" / "figures" / "claims_audio.svg").unlink()
    assert copied.planned() == {"Drawing claims of audio", "Writing the report"}
