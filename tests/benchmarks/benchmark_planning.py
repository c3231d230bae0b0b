"""How long Snakemake takes to plan a study of the paper's size, in how much memory.

    python tests/benchmarks/benchmark_planning.py [--models 50] [--profile]

Writes a study of so many models of nine stages with 400 stimuli into a copy of the
repository, plans it from nothing, marks all as made, and plans it again. Ends with
status 1 where a plan takes more than 60 s or 2 GB. With ``--profile`` it says where the
time goes.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import os
import pstats
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
TRACKED = ("Snakefile", "config", "envs", "profiles", "resources", "workflow")
SETTINGS = ("--config", "study=large")
MOST_SECONDS, MOST_MB = 60.0, 2000.0


def study(models: int, shard_size: int) -> dict[str, object]:
    """Return a study of vision: 9 stages, 400 stimuli in shards of a size."""
    stages = ("relu0", "relu1", "relu2", "relu3", "relu4", "fc0_relu", "fc1_relu")
    listed = {name: name for name in (*stages, "final")} | {"norm": "relu0"}
    entry = {
        "architecture": "metamers:SmallAlexNet",
        "arguments": {"classes": 10, "channels": 1},
        "task": "digits",
        "preprocessing": {"mean": [0.13], "std": [0.31]},
        "stages": listed,
        "group": "standard",
    }
    return {
        "name": "large",
        "seed": 1,
        "device": "auto",
        "tasks": {"digits": {"modality": "vision", "label": "category"}},
        "stimuli": {
            "vision": {
                "source": {"kind": "mnist"},
                "size": 32,
                "channels": 1,
                "training_per_category": 300,
                "test_per_category": 100,
                "references_per_category": 40,
            }
        },
        "recipes": {"vision": {"epochs": 1, "batch_size": 20, "learning_rate": 0.1}},
        "models": {f"model_{i:02d}": {**entry, "seed": i} for i in range(models)},
        "synthesis": {
            "vision": {
                "rounds": 8,
                "steps_per_round": 3000,
                "initial_mean": 0.5,
                "initial_deviation": 0.05,
                "shard_size": shard_size,
                "log_every": 100,
            }
        },
        "null_distribution": {"pairs": 1000},
        "robustness": {"vision": {"epsilons": [0.0, 1.0], "steps": 1, "stimuli": 10}},
        "statistics": {"bootstrap": 100},
    }


def planned(folder: Path) -> tuple[float, float, str]:
    """Plan the study; return seconds, peak memory in MB, and what was printed."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", *SETTINGS]
    started = time.perf_counter()
    with open(folder / "plan.log", "w") as file:
        process = subprocess.Popen(
            command, cwd=folder, stdout=file, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    text = (folder / "plan.log").read_text()
    if status:
        sys.exit(text[-3000:])
    return time.perf_counter() - started, usage.ru_maxrss / 1024, text


def mark_as_made(folder: Path) -> None:
    """Put an empty file in the place of every result, and have Snakemake know them."""
    os.chdir(folder)
    sys.path.insert(0, str(folder / "workflow"))
    from metamers.plan import Plan

    plan = Plan(str(folder / "config" / "studies" / "large.yaml"))
    for rule, wildcards in plan.jobs():
        for output in plan.outputs(rule, wildcards):
            path = folder / output
            if rule == "build_gallery":
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    # Results without records are looked into and refused; these are empty.
    code = (
        "import sys; sys.path.insert(0, 'workflow'); import metamers.stale;"
        "metamers.stale.refuse_stale = lambda plan: None;"
        "from snakemake.cli import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "--cores", "1", "--touch", "-F", *SETTINGS]
    with open(folder / "touch.log", "w") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit((folder / "touch.log").read_text()[-3000:])


def profiled(folder: Path) -> None:
    """Plan once more under the profiler and print what takes longest."""
    from snakemake.cli import main as snakemake

    os.chdir(folder)
    sys.argv = ["snakemake", "-n", "--quiet", "--config", "study=large"]
    profile = cProfile.Profile()
    with contextlib.suppress(SystemExit):
        profile.runcall(snakemake, sys.argv[1:])
    pstats.Stats(profile).sort_stats("cumulative").print_stats(35)


def main() -> None:
    """Plan a large study from nothing, and when all is made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=50, help="models (50)")
    parser.add_argument("--shard-size", type=int, default=100, help="stimuli (100)")
    parser.add_argument("--profile", action="store_true", help="say where time goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for item in TRACKED:
            source = ROOT / item
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, folder / item)
        path = folder / "config" / "studies" / "large.yaml"
        path.write_text(yaml.safe_dump(study(options.models, options.shard_size)))
        planned(folder)  # checks the networks, once
        first = planned(folder)
        mark_as_made(folder)
        again = planned(folder)
        if "Nothing to be done" not in again[2]:
            sys.exit("a second plan is not empty:\n" + again[2][-3000:])
        total = re.search(r"^total\s+(\d+)", first[2], flags=re.MULTILINE)
        jobs = total[1] if total else "?"
        for label, (seconds, memory, _) in (
            ("from nothing", first),
            ("no change", again),
        ):
            line = f"{label:>14}: {jobs} jobs, {seconds:.1f} s, at most {memory:.0f} MB"
            sys.stdout.write(line + "\n")
        if options.profile:
            profiled(folder)
    worst = max(first[0], again[0])
    if worst > MOST_SECONDS or max(first[1], again[1]) > MOST_MB:
        sys.exit(f"more than {MOST_SECONDS:g} s or {MOST_MB:g} MB")


if __name__ == "__main__":
    main()
