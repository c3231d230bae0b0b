"""The stimuli of a study, made from its settings: what the rule calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from metamers.errors import StudyError, suggest
from metamers.randomness import numpy_generator
from metamers.stimuli.files import Split, StimulusSet
from metamers.stimuli.mixing import mix, random_excerpts
from metamers.stimuli.sound_splits import background_samples, clip_samples, make_split
from metamers.stimuli.splitting import (
    check_positive,
    check_references,
    choose_references,
)

SOURCES = {
    "vision": ("mnist", "image_folder", "imagenet"),
    "audio": ("espeak", "clip_folder", "manifest"),
}


def prepare_stimuli(modality: str, settings: dict[str, Any], seed: int) -> StimulusSet:
    """Make all stimuli of one modality.

    Parameters
    ----------
    modality
        ``"vision"`` or ``"audio"``.
    settings
        The study's section ``stimuli.{modality}``; ``source.kind`` is mnist,
        image_folder or imagenet for images, espeak, clip_folder or manifest for sounds.
    seed
        The seed of the study: the same seed and settings give the same bytes.

    Returns
    -------
    StimulusSet
        Splits training, test and reference; for sounds also training_background,
        test_background and test_noisy. Of imagenet and manifest all but reference are
        lists.

    Raises
    ------
    StudyError
        If the settings or the files they name cannot be used; as far as it can be
        known, before anything is made.
    """
    if modality not in SOURCES:
        raise StudyError(
            f"modality is '{modality}'; it must be vision or audio"
            f"{suggest(modality, SOURCES)}"
        )
    kind = settings["source"].get("kind")
    if kind not in SOURCES[modality]:
        raise StudyError(
            f"source.kind is '{kind}'; for {modality} it must be "
            f"{' or '.join(SOURCES[modality])}{suggest(kind, SOURCES[modality])}"
        )
    if kind == "imagenet":
        from metamers.stimuli.imagenet import prepare_imagenet

        return prepare_imagenet(settings, seed)
    if modality == "vision":
        from metamers.stimuli.images import prepare_images

        return prepare_images(settings, seed)
    check_sound_settings(settings)
    if kind == "manifest":
        from metamers.stimuli.manifest import prepare_manifest

        return prepare_manifest(settings, seed)
    if kind == "espeak":
        return prepare_generated_sounds(settings, seed)
    return prepare_recorded_sounds(settings, seed)


def check_sound_settings(settings: dict[str, Any]) -> None:
    """Refuse sounds without length, level or a range of signal-to-noise ratios."""
    for name, unit in (("sample_rate", " Hz"), ("duration", " s"), ("rms", "")):
        if not settings[name] > 0:
            raise StudyError(f"{name} is {settings[name]}{unit}; it must be above 0")
    if round(settings["duration"] * settings["sample_rate"]) < 2:
        raise StudyError(
            f"duration is {settings['duration']} s, less than two samples at "
            f"{settings['sample_rate']} Hz; make it longer"
        )
    low, high = settings["snr"]
    if low > high:
        raise StudyError(
            f"snr is [{low}, {high}] dB; the first number must not exceed the second"
        )


def prepare_generated_sounds(settings: dict[str, Any], seed: int) -> StimulusSet:
    """Make synthetic speech and generated backgrounds.

    The source's fields: words, training_renditions, test_renditions (how often each
    word is said), backgrounds (classes), training_background_clips and
    test_background_clips (how many of each class).
    """
    from metamers.stimuli.backgrounds import (
        Scene,
        check_backgrounds,
        make_backgrounds,
    )
    from metamers.stimuli.speech import check_words, make_speech

    source = settings["source"]
    words, classes = list(source["words"]), list(source["backgrounds"])
    check_words(words)
    check_backgrounds(classes)
    for split in ("training", "test"):
        for name in (f"{split}_renditions", f"{split}_background_clips"):
            if source[name] is None:
                raise StudyError(f"source.{name} is null; give a number of at least 1")
            check_positive(f"source.{name}", source[name])
    check_references(
        settings["references_per_category"], source["test_renditions"], "each word"
    )
    rate, rms = settings["sample_rate"], settings["rms"]
    spoken = make_speech(
        words,
        (source["training_renditions"], source["test_renditions"]),
        rate,
        settings["duration"],
        rms,
        seed,
    )
    splits: dict[str, Split] = {}
    for split, speech in zip(("training", "test"), spoken, strict=True):
        splits[split] = make_split(
            speech.sounds,
            speech.names,
            {"word": speech.words},
            speech.sources,
            speech.speakers,
        )
        clips = source[f"{split}_background_clips"]
        scene = Scene(background_samples(settings), rate, speech.sentences)
        labels = np.repeat(np.arange(len(classes)), clips)
        splits[f"{split}_background"] = make_split(
            make_backgrounds(classes, clips, scene, rms, seed, split),
            [f"{name}_{split}_{k:03d}" for name in classes for k in range(clips)],
            {"background": labels},
            [f"generated {name}" for name in np.array(classes)[labels]],
        )
    categories = {"word": words, "background": classes}
    return complete(splits, categories, settings, seed, synthetic=True)


def prepare_recorded_sounds(settings: dict[str, Any], seed: int) -> StimulusSet:
    """Read recorded speech and backgrounds; the fields are those of `plan_clips`."""
    from metamers.stimuli.clips import plan_clips, read_backgrounds, read_clips

    plan = plan_clips(settings, seed)
    rate, rms = settings["sample_rate"], settings["rms"]
    folder = Path(settings["source"]["clips"])
    splits: dict[str, Split] = {}
    for split, rows in plan.clips.items():
        paths = [folder / path for path in rows["path"]]
        labels = np.array([plan.words.index(word) for word in rows["word"]])
        splits[split] = make_split(
            read_clips(paths, rate, clip_samples(settings), rms),
            [
                # The words of a clip's name often include word and speaker already.
                path.stem if word in path.stem else f"{word}_{path.stem}"
                for path, word in zip(paths, rows["word"], strict=True)
            ],
            {"word": labels},
            [str(path) for path in paths],
            rows["speaker"].tolist(),
        )
        files = plan.background_files[split]
        splits[f"{split}_background"] = make_split(
            read_backgrounds(
                [path for _, path in files], rate, background_samples(settings), rms
            ),
            [f"{plan.backgrounds[number]}_{path.stem}" for number, path in files],
            {"background": np.array([number for number, _ in files])},
            [str(path) for _, path in files],
        )
    categories = {"word": plan.words, "background": plan.backgrounds}
    return complete(splits, categories, settings, seed, synthetic=False)


def complete(
    splits: dict[str, Split],
    categories: dict[str, list[str]],
    settings: dict[str, Any],
    seed: int,
    synthetic: bool,
) -> StimulusSet:
    """Add the references and the noisy test clips to the four splits of sounds."""
    test = splits["test"]
    references = choose_references(
        test.label["word"],
        categories["word"],
        settings["references_per_category"],
        seed,
        test.details["speaker"],
    )
    noisy = add_noise(test, splits["test_background"], categories, settings, seed)
    return StimulusSet(
        modality="audio",
        splits={
            "training": splits["training"],
            "test": test,
            "reference": test.subset(references),
            "training_background": splits["training_background"],
            "test_background": splits["test_background"],
            "test_noisy": noisy,
        },
        categories=categories,
        sample_rate=settings["sample_rate"],
        synthetic=synthetic,
    )


def add_noise(
    speech: Split,
    background: Split,
    categories: dict[str, list[str]],
    settings: dict[str, Any],
    seed: int,
) -> Split:
    """Mix every clip once with an excerpt of a background.

    The classes of backgrounds are dealt out evenly; which clip of the class, where its
    excerpt starts and the signal-to-noise ratio (uniform over the study's range, in dB)
    are drawn from a stream of each speech clip's own.
    """
    classes = np.arange(len(speech)) % len(categories["background"])
    classes = numpy_generator(seed, "stimuli", "noisy", "classes").permutation(classes)
    sounds, noises = speech.values(), background.values()
    chosen = np.empty(len(speech), dtype=np.int64)
    snr = np.empty(len(speech), dtype=np.float32)
    excerpts = np.empty_like(sounds)
    for row, name in enumerate(speech.id.tolist()):
        generator = numpy_generator(seed, "stimuli", "noisy", name)
        members = np.flatnonzero(background.label["background"] == classes[row])
        chosen[row] = generator.choice(members)
        snr[row] = generator.uniform(*settings["snr"])
        noise = noises[chosen[row]][np.newaxis]
        excerpts[row] = random_excerpts(noise, sounds.shape[1], generator)[0]
    names = [
        f"{name}_in_{other}"
        for name, other in zip(speech.id, background.id[chosen], strict=True)
    ]
    sources = [
        f"{name} in {other}"
        for name, other in zip(speech.id, background.id[chosen], strict=True)
    ]
    return make_split(
        mix(sounds, excerpts, snr, settings["rms"]),
        names,
        {
            "word": speech.label["word"],
            "background": background.label["background"][chosen],
        },
        sources,
        speech.details["speaker"],
        snr,
    )
