"""Files of metamers: one for each shard of a stage, then one for the whole model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from metamers.errors import StudyError, suggest
from metamers.files import atomic_path
from metamers.stimuli.files import Split

FORMAT_VERSION = 1
DATASETS = (
    "metamer",
    "stimulus_id",
    "loss",
    "logged_step",
    "distances",
    "response",
    "natural_response",
)
# Settings in which the shards of one stage differ, and those of one model.
DIFFERS_BY_SHARD = {"shard"}
DIFFERS_BY_STAGE = {"shard", "stage", "path", "straight_through"}


@dataclass(frozen=True)
class MetamerShard:
    """Metamers of some stimuli at one stage of one network.

    Attributes
    ----------
    metamer
        float32, (n, channels, height, width) in [0, 1] or (n, samples) in [-1, 1].
    stimulus_id
        Ids (n) of the references.
    loss
        (n, logged): matching loss after ``logged_step`` steps.
    logged_step
        (logged,).
    distances
        (n, 3): spearman, pearson, db_snr between the activations to the metamer and
        to its reference at the matched stage.
    response, natural_response
        (n): the generating network's answers to metamer and reference as people would
        get them, as indices into its task's answers; -1 where there is none.
    gradient
        ``straight_through`` or ``plain``: what the stage's last ReLU passed on.
    reference_checksum
        sha256 of the references as stored, so that shards of others are not mixed.
    attributes
        Of the file it was read from: study, model, stage, seed, ..., provenance.
    """

    metamer: np.ndarray
    stimulus_id: np.ndarray
    loss: np.ndarray
    logged_step: np.ndarray
    distances: np.ndarray
    response: np.ndarray
    natural_response: np.ndarray
    gradient: str = ""
    reference_checksum: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.stimulus_id)


def select_shard(reference: Split, shard: int, shard_size: int) -> Split:
    """Return the references of one shard.

    Parameters
    ----------
    reference
        All natural stimuli that metamers are made of.
    shard
        Number of the shard, from 0.
    shard_size
        Stimuli in a shard; the last one may hold fewer.
    """
    shards = -(-len(reference) // shard_size)
    if not 0 <= shard < shards:
        raise StudyError(
            f"there is no shard {shard}: {len(reference)} references in shards of "
            f"{shard_size} make {shards}, numbered from 0"
        )
    start = shard * shard_size
    return reference.subset(np.arange(start, min(start + shard_size, len(reference))))


def reference_checksum(reference: Split) -> str:
    """Return the sha256 of the stored references."""
    return hashlib.sha256(reference.stimulus.tobytes()).hexdigest()


def write_shard(
    shard: MetamerShard, path: str | Path, provenance: Mapping[str, Any]
) -> None:
    """Write a shard.

    Parameters
    ----------
    shard
        The metamers.
    path
        The HDF5 file.
    provenance
        From `metamers.provenance.provenance`, over the step's settings: ``seed``,
        ``study``, ``model``, ``stage``, ``shard`` and the rest.
    """
    settings = provenance["settings"]
    attributes = {
        "format_version": FORMAT_VERSION,
        **{name: settings[name] for name in ("study", "model", "stage", "seed")},
        "shard": settings["shard"],
        "settings_hash": provenance["settings_hash"],
        "code_fingerprint": provenance["code_fingerprint"],
        "torch_version": provenance["versions"].get("torch", ""),
        "device": provenance["device"],
        "threads": provenance["threads"] or 0,
        "seconds": provenance["seconds"],
        "provenance": json.dumps(dict(provenance)),
    }
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(attributes)
        _write_datasets(file, shard)


def read_shard(path: str | Path) -> MetamerShard:
    """Read a shard.

    Raises
    ------
    StudyError
        If the file is missing, cut off, of another format or inconsistent.
    """
    with _opened(path) as file:
        return _read_group(file, path)


def pack_shards(
    shards: Mapping[str, Sequence[str | Path]],
    path: str | Path,
    stimulus_ids: Sequence[str] | np.ndarray | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Join the shards of all stages of one model into one file.

    Parameters
    ----------
    shards
        The shard files of each stage, in the order of their numbers; stages in order.
    path
        The HDF5 file: the datasets of a shard under one group a stage.
    stimulus_ids
        Ids of all references, in order, where they are at hand to compare with.
    provenance
        How the file was made.

    Raises
    ------
    StudyError
        If a file is not the shard of the stage it stands for, or if two differ in
        their settings, code, references or ids.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as output:
        first: tuple[Path, list[MetamerShard]] | None = None
        for stage, files in shards.items():
            read = [(Path(file), read_shard(file)) for file in files]
            for number, (file, shard) in enumerate(read):
                _check_place(file, shard, stage, number)
                _check_settings(read[0], (file, shard), DIFFERS_BY_SHARD)
            members = [shard for _, shard in read]
            if first is None:
                first = (read[0][0], members)
                _check_ids(read[0][0], members, stimulus_ids)
            _check_settings((first[0], first[1][0]), read[0], DIFFERS_BY_STAGE)
            _check_references(first, (read[0][0], members))
            group = output.create_group(stage)
            group.attrs.update(_stage_attributes(members))
            _write_datasets(group, _joined(members))
        if first is None:
            raise StudyError("there are no stages to pack; give the shards of one")
        source = first[1][0].attributes
        output.attrs.update(
            format_version=FORMAT_VERSION,
            study=source["study"],
            model=source["model"],
            stages=json.dumps(list(shards)),
            provenance=json.dumps(dict(provenance or {})),
        )


def read_metamers(
    path: str | Path, stages: Sequence[str] | None = None
) -> dict[str, MetamerShard]:
    """Read the metamers of a model, by stage.

    Parameters
    ----------
    path
        What `pack_shards` wrote.
    stages
        Which stages; all, in their order, by default.

    Raises
    ------
    StudyError
        If the file is missing, cut off or of another format, or lacks a stage.
    """
    with _opened(path) as file:
        present = json.loads(file.attrs["stages"])
        for stage in stages or ():
            if stage not in present:
                raise StudyError(
                    f"{path} has no stage '{stage}'; it has {', '.join(present)}"
                    f"{suggest(stage, present)}"
                )
        chosen = present if stages is None else stages
        return {stage: _read_group(file[stage], path) for stage in chosen}


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    remedy = "delete it and run the rule that makes it again"
    try:
        with h5py.File(path, "r") as file:
            version = file.attrs.get("format_version")
            if version != FORMAT_VERSION:
                raise StudyError(
                    f"{path} has format version {version}, this program reads "
                    f"{FORMAT_VERSION}; {remedy}"
                )
            yield file
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise StudyError(
            f"{path} is no readable metamer file ({error}); {remedy}"
        ) from error


def _write_datasets(group: Any, shard: MetamerShard) -> None:
    group.attrs["gradient"] = shard.gradient
    group.attrs["reference_checksum"] = shard.reference_checksum
    ids = shard.stimulus_id.astype(object)
    group.create_dataset("stimulus_id", data=ids, dtype=h5py.string_dtype("utf-8"))
    group["metamer"] = shard.metamer.astype(np.float32)
    group["loss"] = shard.loss
    group["logged_step"] = shard.logged_step.astype(np.int64)
    group["distances"] = shard.distances.astype(np.float64)
    for name in ("response", "natural_response"):
        group[name] = getattr(shard, name).astype(np.int64)


def _read_group(group: Any, path: str | Path) -> MetamerShard:
    attributes = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in group.attrs.items()
    }
    arrays = {name: group[name][:] for name in DATASETS if name != "stimulus_id"}
    ids = np.asarray(group["stimulus_id"].asstr()[:], dtype=str)
    counts = {name: len(array) for name, array in arrays.items()}
    counts.pop("logged_step")
    wrong = {name: count for name, count in counts.items() if count != len(ids)}
    steps = len(arrays["logged_step"])
    if wrong or arrays["loss"].shape[1:] != (steps,):
        raise StudyError(
            f"{path} is inconsistent: {len(ids)} stimulus ids, {steps} logged steps, "
            f"but {wrong or {'loss': arrays['loss'].shape}}; delete it and run the "
            "rule synthesize_metamers again"
        )
    return MetamerShard(
        stimulus_id=ids,
        gradient=str(attributes.pop("gradient")),
        reference_checksum=str(attributes.pop("reference_checksum")),
        attributes=attributes,
        **arrays,
    )


def _joined(shards: Sequence[MetamerShard]) -> MetamerShard:
    names = [name for name in DATASETS if name != "logged_step"]
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(shard, name) for shard in shards])
        for name in names
    }
    checksums = "".join(shard.reference_checksum for shard in shards)
    return MetamerShard(
        logged_step=shards[0].logged_step,
        gradient=shards[0].gradient,
        reference_checksum=hashlib.sha256(checksums.encode()).hexdigest(),
        **joined,
    )


def _stage_attributes(shards: Sequence[MetamerShard]) -> dict[str, Any]:
    common = {k: v for k, v in shards[0].attributes.items() if k != "shard"}
    return {**common, "seconds": sum(shard.attributes["seconds"] for shard in shards)}


def _check_place(path: Path, shard: MetamerShard, stage: str, number: int) -> None:
    found = (shard.attributes["stage"], shard.attributes["shard"])
    if found != (stage, number):
        raise StudyError(
            f"{path} is shard {found[1]} of stage '{found[0]}', but stands for shard "
            f"{number} of stage '{stage}'; delete it and make it again"
        )


def _check_settings(
    one: tuple[Path, MetamerShard], other: tuple[Path, MetamerShard], but: set[str]
) -> None:
    """Refuse two shards whose code, or settings other than `but`, differ."""
    made = [json.loads(shard.attributes["provenance"]) for _, shard in (one, other)]
    settings = [
        {name: value for name, value in record["settings"].items() if name not in but}
        for record in made
    ]
    names = sorted(settings[0].keys() | settings[1].keys())
    differing = [
        name for name in names if settings[0].get(name) != settings[1].get(name)
    ]
    if made[0]["code_fingerprint"] != made[1]["code_fingerprint"]:
        differing.append("code")
    if differing:
        raise StudyError(
            f"{one[0]} and {other[0]} were made with different settings "
            f"({', '.join(differing)}); delete the older one and make it again"
        )


def _check_ids(
    path: Path,
    shards: Sequence[MetamerShard],
    expected: Sequence[str] | np.ndarray | None,
) -> None:
    ids = np.concatenate([shard.stimulus_id for shard in shards])
    if len(set(ids.tolist())) != len(ids):
        raise StudyError(
            f"{path} and its further shards hold a stimulus id twice; delete them and "
            "make them again"
        )
    if expected is not None and ids.tolist() != list(expected):
        raise StudyError(
            f"{path} and its further shards hold {len(ids)} metamers that are not "
            f"those of the {len(expected)} references, in order; the stimuli have "
            "changed since: delete the shards and make them again"
        )


def _check_references(
    one: tuple[Path, Sequence[MetamerShard]], other: tuple[Path, Sequence[MetamerShard]]
) -> None:
    """Refuse stages whose shards are not of the same stimuli, one for one."""
    described = [
        [(shard.reference_checksum, shard.stimulus_id.tolist()) for shard in shards]
        for shards in (one[1], other[1])
    ]
    if described[0] != described[1]:
        raise StudyError(
            f"the shards of {one[0].parent} and {other[0].parent} are not of the same "
            "stimuli; delete the older ones and make them again"
        )
