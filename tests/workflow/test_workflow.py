"""The workflow as a whole: its commands, its style, and what a run leaves."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml

from metamers.outputs import OUTPUTS
from metamers.plan import Plan

RULES = sorted((Path(__file__).parents[2] / "workflow" / "rules").glob("*.smk"))


def tool(*command: str, folder: Path) -> str:
    """Run a program of this environment and return all that it writes."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def test_plain_dry_run_plans_the_demo(clone):
    text = clone.snakemake("-n", study=None)
    total = re.search(r"^total +(\d+)$", text, flags=re.MULTILINE)
    assert total and int(total.group(1)) > 150
    assert "Training alexnet_standard" in text


def test_slurm_profile_by_its_bare_name(clone):
    text = clone.snakemake("--profile", "slurm", "-n", study=None)
    assert re.search(r"Using profiles? .*slurm", text)
    assert "profiles/default" in text, "the safe flags hold beside the site's profile"
    assert "Training alexnet_standard" in text


def test_rulegraph(clone):
    graph = clone.snakemake("--rulegraph")
    assert "digraph" in graph and "synthesize_metamers" in graph


def test_lint(clone):
    assert "good condition" in clone.snakemake("--lint", study=None)


def test_snakefmt(root):
    tool("snakefmt", "--check", "Snakefile", "workflow/rules", folder=root)


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_rules_keep_to_the_style(path):
    text = path.read_text()
    # retries in a rule would repeat the work inside a Slurm job as well.
    for word in ("lambda", "checkpoint ", "run:", "retries:", "glob"):
        assert word not in text
    for rule in re.split(r"^rule ", text, flags=re.MULTILINE)[1:]:
        name = rule.split(":")[0]
        assert rule.split("\n")[1].strip().startswith('"""'), name
        if "script:" in rule:
            assert f'"../scripts/{name}.py"' in rule
            for part in ("log:", "conda:", "threads:", "params:", "message:"):
                assert part in rule, f"{name} has no {part}"
            assert f'plan.settings("{name}")' in rule
            assert f'plan.code("{name}")' in rule


def asking_for_gpus():
    """Return the rules that ask for GPUs."""
    asking = set()
    for path in RULES:
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            if "gpu=" in rule:
                asking.add(rule.split(":")[0])
    return asking


def test_slurm_profile_sends_what_asks_for_gpus_to_where_they_are(root):
    profile = yaml.safe_load((root / "profiles/slurm/profile.v9+.yaml").read_text())
    placed = profile["set-resources"]
    assert set(placed) == asking_for_gpus()
    assert len({place["slurm_partition"] for place in placed.values()}) == 1


def test_rules_on_networks_and_no_others_ask_for_gpus(root):
    scripts = root / "workflow" / "scripts"
    asking = asking_for_gpus()
    torch = {
        path.stem for path in scripts.glob("*.py") if "use_torch" in path.read_text()
    }
    # The showcase is made for a machine without a GPU.
    assert asking == torch - {"plot_showcase"}
    assert Plan("demo").gpus == 1


def test_wrong_study_is_refused_before_any_job(clone, tmp_path):
    copied = clone.copy(tmp_path / "repository")
    copied.edit("config/studies/tiny.yaml", "rounds: 2", "round: 2")
    text = copied.snakemake("--cores", "1", fail=True)
    assert "synthesis.vision" in text and "did you mean 'rounds'" in text
    assert not (copied.folder / "results").exists()


def test_unknown_stage_is_refused_before_any_job(clone, tmp_path):
    copied = clone.copy(tmp_path / "repository")
    copied.edit("config/studies/tiny.yaml", "relu0: relu0", "relu0: relu00")
    text = copied.snakemake("-n", fail=True)
    assert "models.net" in text and "relu00" in text


def test_the_run_makes_what_is_planned_and_no_more(finished):
    plan = Plan(finished.folder / "config" / "studies" / "tiny.yaml")
    planned = {path for job in plan.jobs() for path in plan.outputs(*job)}
    made = {
        str(path.relative_to(finished.folder))
        for path in (finished.folder / "results").rglob("*")
        if path.is_file()
    }
    beside = ("results/tiny/provenance/", "results/tiny/benchmarks/")
    made = {path for path in made if not path.startswith(beside)}
    made = {
        "results/tiny/gallery" if path.startswith("results/tiny/gallery/") else path
        for path in made
    }
    assert made == planned


def test_rules_and_table_of_outputs_agree():
    for path in RULES:
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            if "script:" not in rule:
                continue
            output = rule.split("    output:")[1].split("    log:")[0]
            found = re.findall(r'"<results>/([^"]+)"', output)
            name = rule.split(":")[0]
            assert tuple(found) == OUTPUTS.get(name, ())
            # What belongs to no study lies beside its results.
            beside = path.name in ("published.smk", "weights.smk")
            assert found or beside or name == "plot_showcase"


def test_every_result_says_how_it_was_made(finished):
    from metamers.stale import read_provenance

    plan = Plan(finished.folder / "config" / "studies" / "tiny.yaml")
    before = Path.cwd()
    os.chdir(finished.folder)
    try:
        for rule, wildcards in plan.jobs():
            for path in plan.outputs(rule, wildcards):
                made = read_provenance(Path(path))
                assert made["rule"] == rule and made["wildcards"] == wildcards, path
                assert made["seconds"] > 0 and made["versions"]["python"]
    finally:
        os.chdir(before)


def test_report(finished, tmp_path):
    path = tmp_path / "report.zip"
    finished.snakemake("--report", str(path))
    with zipfile.ZipFile(path) as file:
        text = "".join(
            file.read(name).decode(errors="replace")
            for name in file.namelist()
            if name.endswith((".html", ".js"))
        )
    for word in ("Recognition", "Claims", "recognition by stage", "Tables"):
        assert word in text


def test_script_finds_the_package_where_it_is_not_installed(finished, tmp_path):
    # Without the module `site`, the path files that install the package are not read.
    path = sysconfig.get_paths()["purelib"]
    environment = {**os.environ, "PYTHONPATH": path}
    python = [sys.executable, "-S"]
    lacking = subprocess.run(
        [*python, "-c", "import pandas, metamers"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "No module named 'metamers'" in lacking.stderr
    output = "results/tiny/statistics/convergence.csv"
    job = {
        "rule": "analyse_convergence",
        "threads": 1,
        "config": {"device": "cpu"},
        "log": ["log.txt"],
        "settings": {"confidence": 0.95},
        "screening": [str(finished.folder / "results/tiny/screening/net.csv")],
        "output": output,
    }
    script = finished.folder / "workflow" / "scripts" / "analyse_convergence.py"
    program = (
        "import json, runpy, sys, types\n"
        "job = types.SimpleNamespace(**json.load(sys.stdin))\n"
        "job.params = types.SimpleNamespace(settings=job.settings, code='code')\n"
        "job.input = types.SimpleNamespace(screening=job.screening)\n"
        "job.output = types.SimpleNamespace(convergence=job.output)\n"
        "job.wildcards = {}\n"
        f"runpy.run_path({str(script)!r}, init_globals={{'snakemake': job}})\n"
    )
    done = subprocess.run(
        [*python, "-c", program],
        env=environment,
        cwd=tmp_path,
        input=json.dumps(job),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (tmp_path / "log.txt").read_text() + done.stderr
    assert (tmp_path / output).read_text().startswith("model")
