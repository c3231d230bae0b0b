"""The command ``metamers``: what one does beside running the workflow."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metamers.errors import StudyError
from metamers.study.reading import ROOT, load_study, missing_data


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def check(arguments: argparse.Namespace) -> None:
    """Validate a study: its fields, its files, and that every network builds."""
    from metamers.network_check import check_networks

    study = load_study(arguments.study)
    check_networks(study)
    stages = sum(len(entry.stages) for entry in study.models.values())
    _say(
        f"{study.name}: {len(study.models)} models, {stages} stages, "
        f"{' and '.join(study.modalities)}: nothing wrong"
    )
    missing = missing_data(study)
    if missing:
        _say("It can be planned, but not run here yet:\n  " + "\n  ".join(missing))


def plan(arguments: argparse.Namespace) -> None:
    """Say what a study costs: jobs, GPU hours, core hours and storage."""
    from metamers.cost_report import cost_report
    from metamers.costs import Costs
    from metamers.network_check import check_networks
    from metamers.plan import Plan

    found = Plan(arguments.study, arguments.only)
    check_networks(found.study)
    _say(cost_report(Costs(found)))


def rehearse(arguments: argparse.Namespace) -> None:
    """Write a study in miniature, with made-up data, to run all of it once."""
    from metamers.rehearsal import rehearse as write_miniature

    path = write_miniature(arguments.study, Path(arguments.folder))
    _say(f"Run it with: snakemake --cores all --config study={path}")


def documentation(arguments: argparse.Namespace) -> None:
    """Generate config/README.md from the code that reads studies."""
    from metamers.study.documentation import reference

    (ROOT / "config" / "README.md").write_text(reference(), encoding="utf-8")


def summary(arguments: argparse.Namespace) -> None:
    """Name what a finished run has left, and where to start."""
    study = load_study(arguments.study)
    folder = Path("results") / study.name
    report = folder / "report.html"
    if not report.is_file():
        raise StudyError(
            f"{report} does not exist: the study has not finished; run "
            f"snakemake --cores all --config study={arguments.study}"
        )
    figures = sorted((folder / "figures").glob("*.png"))
    _say(f"\nThe study '{study.name}' is complete.\n")
    _say(f"Report:      {report}")
    _say(f"Claims:      {folder / 'statistics' / 'claims.csv'}")
    _say(f"Scores:      {folder / 'statistics' / 'scores.csv'}")
    _say(f"Gallery:     {folder / 'gallery' / 'index.html'}")
    _say("Figures:")
    for figure in figures:
        _say(f"             {figure}")
    _say("\nActivate the environment with: source .venv/bin/activate")


def stale(arguments: argparse.Namespace) -> None:
    """List results that no longer fit the study, or remove them."""
    from metamers.plan import Plan
    from metamers.stale import remove_stale, stale_outputs

    plan = Plan(arguments.study)
    if arguments.remove:
        removed = remove_stale(plan)
        _say(f"removed {len(removed)} file(s)")
        return
    found = stale_outputs(plan)
    for one in found:
        _say(f"{one.path}: {one.reason}")
    _say(f"{len(found)} stale file(s)")


def _entry(arguments: argparse.Namespace) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Return a resolved entry and input shape for a model of a study or a bare one."""
    from metamers.study.slices import input_shape, resolved_entry

    if ":" not in arguments.model:
        study = load_study(arguments.study)
        if arguments.model not in study.models:
            raise StudyError(
                f"'{arguments.model}' is no model of study '{study.name}' "
                f"({', '.join(study.models)}) and no architecture such as "
                "torchvision:alexnet"
            )
        entry = resolved_entry(study, arguments.model)
        return entry, tuple(input_shape(study, entry["modality"]))
    shape = tuple(int(size) for size in arguments.input.split(","))
    entry = {
        "modality": "vision" if len(shape) == 3 else "audio",
        "architecture": arguments.model,
        "arguments": _keywords(arguments.argument),
        "preprocessing": {},
    }
    return entry, shape


def _keywords(pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` words, values as YAML."""
    import yaml

    found = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise StudyError(f"--argument '{pair}' must read name=value")
        found[name] = yaml.safe_load(value)
    return found


def stages(arguments: argparse.Namespace) -> None:
    """Propose the stages of a network, as lines for a study file."""
    from metamers.networks.network import build_network
    from metamers.networks.stages import describe, example, propose

    entry, shape = _entry(arguments)
    network = build_network(entry, seed=0).eval().requires_grad_(False)
    x = example(entry, shape)
    proposed = propose(network, x)
    lines = ["stages:"]
    for stage in describe(network, proposed, x):
        size = "x".join(str(length) for length in stage.shape)
        lines.append(f"  {stage.name}: {stage.path}  # {size}, {stage.gradient}")
    _say("\n".join(lines))
    if arguments.output:
        Path(arguments.output).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read_image(path: str, size: int) -> Any:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            picture = image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise StudyError(f"--image {path}: cannot be read ({error})") from None
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side)).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    return np.asarray(picture, dtype=np.float32).transpose(2, 0, 1) / 255


def try_metamer(arguments: argparse.Namespace) -> None:
    """Make one metamer of one image and stage, and say how well it matches."""
    import numpy as np

    from metamers.networks.network import load_weights
    from metamers.networks.registry import resolve_architecture
    from metamers.quick import make_metamer, wrap
    from metamers.recognition.presentation import as_presented, write_png

    image = _read_image(arguments.image, arguments.size)
    module = resolve_architecture(arguments.model)(**_keywords(arguments.argument))
    mean, std = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    network = wrap(module, "vision", mean, std)
    if arguments.weights:
        load_weights(network, arguments.weights)
    result = make_metamer(
        network,
        arguments.stage,
        image,
        steps_per_round=arguments.steps,
        seed=arguments.seed,
    )
    pair = np.concatenate([result.reference, result.metamer], axis=2)
    write_png(as_presented(pair[None], "vision")[0], arguments.output)
    kind = "" if arguments.weights else " (random weights: give --weights FILE)"
    _say(f"network          {arguments.model}{kind}")
    _say(f"stage            {arguments.stage}, {result.gradient} gradient")
    _say(f"matching loss    {result.loss[0]:.4g} -> {result.loss[-1]:.4g}")
    _say(
        f"match            Spearman {result.spearman:.4f}, "
        f"Pearson {result.pearson:.4f}, {result.db_snr:.1f} dB"
    )
    _say(
        f"largest output   {result.natural_response} natural, {result.response} metamer"
    )
    _say(f"written          {arguments.output} (natural left, metamer right)")


def check_gpu(arguments: argparse.Namespace) -> None:
    """Check that a GPU computes, remembers and keeps pace as it should."""
    from metamers.gpu_check import check_gpu as check_all

    status = check_all(arguments.device, _say)
    if status:
        raise SystemExit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="metamers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, function: Any) -> argparse.ArgumentParser:
        text = (function.__doc__ or "").strip()
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(function=function)
        return added

    for name, function in (
        ("check", check),
        ("plan", plan),
        ("summary", summary),
        ("stale", stale),
    ):
        added = command(name, function)
        added.add_argument("study", help="name of a study, or the path of its file")
        if name == "stale":
            added.add_argument("--remove", action="store_true", help="delete them")
        if name == "plan":
            added.add_argument("--only", help="figures, groups or models, with commas")
    added = command("rehearse", rehearse)
    added.add_argument("study", help="name of a study, or the path of its file")
    added.add_argument(
        "--folder",
        default="results/rehearsal/inputs",
        help="where its study file and data are written",
    )
    added = command("check-gpu", check_gpu)
    added.add_argument(
        "--device",
        choices=("cuda", "cpu"),
        default="cuda",
        help="cpu: go through the same parts in small, without a GPU",
    )
    command("documentation", documentation)
    added = command("stages", stages)
    added.add_argument(
        "model", help="a model of the study, or torchvision:alexnet, ..."
    )
    added.add_argument("--study", default="demo", help="study that has the model")
    added.add_argument("--input", default="3,224,224", help="shape of one stimulus")
    added.add_argument("--argument", action="append", default=[], metavar="NAME=VALUE")
    added.add_argument("--output", help="also write them to this file")
    added = command("try", try_metamer)
    added.add_argument("--model", required=True, help="e.g. torchvision:alexnet")
    added.add_argument("--stage", required=True, help="module path, e.g. features.4")
    added.add_argument("--image", required=True, help="an image file")
    added.add_argument("--weights", help="safetensors file, or torch state dict")
    added.add_argument("--size", type=int, default=224, help="side in pixels")
    added.add_argument(
        "--steps", type=int, default=50, help="steps in each of 8 rounds"
    )
    added.add_argument("--seed", type=int, default=0, help="seed of the initial noise")
    added.add_argument("--argument", action="append", default=[], metavar="NAME=VALUE")
    added.add_argument("--output", default="metamer.png", help="picture to write")
    return parser


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake is one message and exit status 2."""
    arguments = _parser().parse_args(words)
    try:
        arguments.function(arguments)
    except StudyError as error:
        sys.stderr.write(f"metamers: {error}\n")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
