"""Sections on networks: architecture, training, preprocessing and stages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from metamers.study.base import (
    Count,
    Epsilon,
    Fraction,
    Name,
    Number,
    Positive,
    Section,
    unit,
)
from metamers.study.settings import SynthesisChanges


class FrontEnd(Section):
    """The cochleagram, the first layer of an auditory network (Methods, audio)."""

    kind: Literal["cochleagram"] = Field(description="kind of front end")
    low: Positive = Field(description="lowest frequency", json_schema_extra=unit("Hz"))
    high: Positive = Field(
        description="highest frequency", json_schema_extra=unit("Hz")
    )
    filters: Count = Field(description="band-pass filters before oversampling")
    sample_factor: Literal[1, 2, 4] = Field(
        4, description="oversampling of the filter bank"
    )
    envelope_rate: Positive = Field(
        200.0,
        description="sampling rate of the envelopes",
        json_schema_extra=unit("Hz"),
    )
    lowpass_seconds: Positive = Field(
        0.05005,
        description="length of the anti-aliasing filter",
        json_schema_extra=unit("s"),
    )
    kaiser_beta: Positive = Field(5.0, description="shape of its Kaiser window")
    half_sample_shift: bool = Field(
        True, description="filter half a sample off centre, as published"
    )
    envelope_scale: Positive = Field(
        1.0, description="factor on the envelope before compression"
    )
    compression: Positive = Field(0.3, description="exponent of the power law")
    compression_offset: Positive = Field(
        1e-8, description="added to the envelope before the power law"
    )
    compression_gradient_limit: Positive = Field(
        5.0, description="bound on the derivative of the power law"
    )


class Schedule(Section):
    """How the learning rate changes."""

    kind: Literal["one_cycle", "step"] = Field(description="shape of the schedule")
    every: Count | None = Field(
        None,
        description="step: epochs between changes",
        json_schema_extra=unit("epochs"),
    )
    factor: Positive | None = Field(None, description="step: factor at each change")

    @model_validator(mode="after")
    def _complete(self) -> Schedule:
        if (self.kind == "step") != (
            self.every is not None and self.factor is not None
        ):
            raise PydanticCustomError(
                "schedule",
                "kind 'step' needs both 'every' and 'factor'; one_cycle has neither",
            )
        return self


class ColorJitter(Section):
    """Random changes of an image's colors, in random order."""

    brightness: Epsilon = Field(0.0, description="largest change of brightness")
    contrast: Epsilon = Field(0.0, description="largest change of contrast")
    saturation: Epsilon = Field(0.0, description="largest change of saturation")
    hue: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="largest change of hue",
        json_schema_extra=unit("turns"),
    )
    probability: Fraction = Field(1.0, description="part of the images changed")


class Augmentation(Section):
    """What training does to a stimulus before the network sees it."""

    shift: Epsilon = Field(
        0.0,
        description="largest random shift",
        json_schema_extra=unit("pixels (vision), s (audio)"),
    )
    rotation: Epsilon = Field(
        0.0, description="vision: largest rotation", json_schema_extra=unit("degrees")
    )
    scale: Fraction = Field(0.0, description="vision: largest change of scale")
    flip: bool = Field(False, description="vision: mirror half of the images")
    crop: list[Fraction] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="vision: range of the area of a random crop, resized to the "
        "study's size, sides 3:4 to 4:3 (published: 0.08 to 1); null: none",
    )
    color_jitter: ColorJitter | None = Field(
        None, description="vision: random changes of the colors; null: none"
    )
    lighting: Epsilon = Field(
        0.0,
        description="vision: standard deviation of the noise along the principal "
        "components of ImageNet's colors (published: 0.05)",
    )
    grey: Fraction = Field(0.0, description="vision: part of the images made grey")
    blur: Fraction = Field(
        0.0,
        description="vision: part of the images blurred (Gaussian, 0.1 to 2 pixels)",
    )
    solarize: Fraction = Field(
        0.0, description="vision: part of the images whose bright half is inverted"
    )
    snr: list[Number] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="audio: range of signal-to-noise ratios; null: clean speech",
        json_schema_extra=unit("dB"),
    )


class Perturbation(Section):
    """Perturbation of training stimuli: adversarial, or random of the same size."""

    kind: Literal["adversarial", "random"] = Field(
        description="projected gradient ascent, or a random point on the same shell"
    )
    norm: Literal["l2", "linf"] = Field(description="norm of the perturbation")
    epsilon: Epsilon = Field(
        description="size of the perturbation", json_schema_extra=unit("stimulus units")
    )
    steps: Count = Field(7, description="adversarial: gradient steps")
    step_size: Positive | None = Field(
        None,
        description="adversarial: length of a step; null: epsilon / 2",
        json_schema_extra=unit("stimulus units"),
    )
    random_start: bool = Field(True, description="adversarial: start inside the ball")
    domain: Literal["stimulus", "front_end"] = Field(
        "stimulus", description="perturb the stimulus or the front end's output"
    )


class Training(Section):
    """The training recipe of a network."""

    epochs: Count = Field(description="passes through the training stimuli")
    batch_size: Count = Field(description="stimuli a step")
    learning_rate: Positive = Field(description="peak learning rate")
    momentum: Fraction = Field(0.9, description="momentum of the gradient")
    weight_decay: Epsilon = Field(1e-4, description="L2 penalty on the weights")
    schedule: Schedule = Field(
        Schedule(kind="one_cycle"), description="schedule of the learning rate"
    )
    augmentation: Augmentation = Field(
        Augmentation(), description="augmentation of the training stimuli"
    )
    perturbation: Perturbation | None = Field(
        None, description="perturbation of the training stimuli"
    )
    stop_after: Count | None = Field(
        None,
        description="epochs after which training ends before its last one, as for a "
        "published early checkpoint; null: none",
        json_schema_extra=unit("epochs"),
    )
    trainable: list[str] = Field(
        [],
        description="module paths that learn, such as a linear read-out on given "
        "weights; the others are frozen, in evaluation mode; []: all learn",
    )
    warm_up_steps: int = Field(
        0, ge=0, description="steps in which the learning rate rises from 0"
    )
    gradient_limit: Positive | None = Field(
        None, description="largest L2 norm of all gradients together; null: none"
    )
    mixed_precision: bool = Field(
        False,
        description="passes of the architecture in training, also of the attack, in "
        "bfloat16",
    )
    gpus: Count = Field(1, description="GPUs that a job trains on (no setting of it)")
    workers: int = Field(
        0,
        ge=0,
        description="processes that read and augment stimuli (no setting of it); 0: "
        "the job itself",
    )

    @model_validator(mode="after")
    def _stops_in_time(self) -> Training:
        if self.stop_after is not None and self.stop_after > self.epochs:
            raise PydanticCustomError(
                "training", "stop_after is more than epochs; give at most epochs"
            )
        return self


class Recipes(Section):
    """The training recipe of models that give none of their own."""

    vision: Training | None = Field(None, description="recipe of vision models")
    audio: Training | None = Field(None, description="recipe of auditory models")


class Weights(Section):
    """A file of trained weights."""

    path: str | None = Field(None, description="file on this machine")
    url: str | None = Field(
        None, pattern=r"^https://", description="address of the file"
    )
    public: Name | None = Field(
        None, description="one of the public weights in resources/weights.yaml"
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="checksum; required with a url"
    )
    head: str | None = Field(
        None,
        description="file with the read-out (safetensors) that the weights lack",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Weights:
        if [self.path, self.url, self.public].count(None) != 2:
            raise PydanticCustomError(
                "weights", "give one of path, url and public, and no other"
            )
        if self.url is not None and self.sha256 is None:
            raise PydanticCustomError(
                "weights", "a url needs the sha256 of the file it leads to"
            )
        return self


class Preprocessing(Section):
    """The first layers of a network."""

    mean: list[Number] | None = Field(
        None, description="vision: subtracted, by channel; null: nothing"
    )
    std: list[Positive] | None = Field(
        None, description="vision: divided by, by channel; null: nothing"
    )
    resize: int | None = Field(
        None,
        ge=8,
        le=1024,
        description="vision: side that the network sees; null: the study's size",
        json_schema_extra=unit("pixels"),
    )
    channels: Literal[1, 3] | None = Field(
        None,
        description="vision: channels that the network sees; grey is repeated, colors "
        "are made grey",
    )
    native: bool = Field(
        False,
        description="vision: metamers have the size and channels that the network "
        "sees, not the study's",
    )
    front_end: Name | None = Field(
        None, description="audio: one of front_ends; null: the waveform itself"
    )

    @model_validator(mode="after")
    def _same_length(self) -> Preprocessing:
        if (self.mean is None) != (self.std is None) or (
            self.mean and self.std and len(self.mean) != len(self.std)
        ):
            raise PydanticCustomError(
                "preprocessing", "mean and std go together, one value a channel"
            )
        return self


Architecture = Annotated[
    str,
    Field(pattern=r"^[A-Za-z_][\w.-]*:[A-Za-z_][\w.-]*$"),
]


class ModelEntry(Section):
    """All that a model needs."""

    modality: Literal["vision", "audio"] | None = Field(
        None, description="sense of the stimuli; null: that of the task"
    )
    architecture: Architecture = Field(
        description="metamers:Name, torchvision:name, timm:name or module:callable"
    )
    arguments: dict[Name, Any] = Field(
        default_factory=dict, description="arguments of the architecture"
    )
    weights: Weights | None = Field(
        None, description="trained weights; null: train, unless training is null too"
    )
    seed: int = Field(0, ge=0, description="seed of initialisation and training order")
    task: Name = Field(description="one of tasks")
    preprocessing: Preprocessing = Field(
        Preprocessing(), description="first layers of the network"
    )
    training: Training | None = Field(
        None,
        description="recipe; left out: the study's for the modality; null: untrained",
    )
    stages: dict[Name, str] = Field(
        min_length=1,
        description="ordered; name: module path in the architecture, or front_end",
    )
    straight_through: dict[Name, bool] = Field(
        default_factory=dict,
        description="stage: false turns the straight-through gradient off there",
    )
    synthesis: SynthesisChanges | None = Field(
        None, description="settings of synthesis that differ for this model"
    )
    any_answer: bool = Field(
        False,
        description="a metamer passes the screening whatever the network answers to "
        "it, by its distances alone",
    )
    null_pairs: int | None = Field(
        None, ge=100, description="pairs of its null distribution; null: the study's"
    )
    null_batch_size: Count | None = Field(
        None, description="its pairs a forward pass; null: the study's"
    )
    null_augmentation: Augmentation | None = Field(
        None,
        description="augmentation of the pairs of its null distribution; null: that "
        "of its training, or of the study's recipe",
    )
    published: str | None = Field(
        None, description="published model whose human data it is laid beside"
    )
    figures: list[Name] = Field(
        [], description="figures that it is in, for `--config only=`"
    )
    group: Name = Field("own", description="group in tables and figures")
