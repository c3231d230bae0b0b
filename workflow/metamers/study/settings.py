"""Sections on the steps after training."""

from __future__ import annotations

from typing import Literal

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


class Matching(Section):
    """Which units of a stage are matched, where it is not all of them at all times.

    In the last round all are (Methods, HMAX and SpecTemp).
    """

    kind: Literal["random_unit", "growing_filters"] = Field(
        description="one random channel or unit at first, or more filters step by step"
    )
    first_steps: Count = Field(
        400, description="random_unit: steps of a round with one unit"
    )
    redraw_every: Count = Field(50, description="random_unit: steps with one unit")
    grow_every: Count = Field(
        400, description="growing_filters: steps until more filters are matched"
    )


class SynthesisSettings(Section):
    """Gradient descent from noise to a metamer (Methods, metamer generation)."""

    rounds: Count = Field(8, description="rounds; the step is halved after each")
    steps_per_round: Count = Field(description="steps a round (published: 3000)")
    first_step: Positive = Field(
        1.0,
        description="length of the first round's steps",
        json_schema_extra=unit("stimulus units"),
    )
    initial_mean: Number = Field(
        description="mean of the initial noise (published: images 0.5, sounds 0)",
        json_schema_extra=unit("stimulus units"),
    )
    initial_deviation: Positive = Field(
        description="its standard deviation (published: images 0.05, sounds 1e-7)",
        json_schema_extra=unit("stimulus units"),
    )
    shard_size: Count = Field(description="stimuli optimised as one batch, one job")
    log_every: Count = Field(description="steps between logged losses")
    threads: Count = Field(1, description="processor threads of a job")
    dtype: Literal["float32", "float64"] = Field(
        "float32", description="precision of the optimisation"
    )
    smoothness: Epsilon = Field(
        0.0,
        description="weight of a penalty on differences between neighbouring pixels or "
        "samples (published: none)",
    )
    matching: Matching | None = Field(
        None, description="which units are matched; null: all units at all times"
    )


class SynthesisChanges(Section):
    """Settings of synthesis that one model has for itself; null: the study's."""

    rounds: Count | None = Field(None, description="rounds")
    steps_per_round: Count | None = Field(None, description="steps a round")
    first_step: Positive | None = Field(
        None,
        description="length of the first round's steps",
        json_schema_extra=unit("stimulus units"),
    )
    initial_mean: Number | None = Field(
        None,
        description="mean of the initial noise",
        json_schema_extra=unit("stimulus units"),
    )
    initial_deviation: Positive | None = Field(
        None,
        description="its standard deviation",
        json_schema_extra=unit("stimulus units"),
    )
    shard_size: Count | None = Field(None, description="stimuli optimised as one batch")
    smoothness: Epsilon | None = Field(None, description="weight of the penalty")
    matching: Matching | None = Field(
        None, description="which units are matched; null: all units at all times"
    )


class Synthesis(Section):
    """Metamer synthesis of each modality."""

    vision: SynthesisSettings | None = Field(None, description="images")
    audio: SynthesisSettings | None = Field(None, description="sounds")


class NullSettings(Section):
    """Null distribution of pairs of different natural stimuli."""

    pairs: int = Field(
        ge=100, description="pairs of training stimuli (published: 1,000,000)"
    )
    batch_size: Count = Field(100, description="pairs a forward pass")


class ScreeningSettings(Section):
    """When a metamer counts as one."""

    rule: Literal["maximum", "quantile"] = Field(
        "maximum", description="what of the null a measure must exceed"
    )
    quantile: Fraction | None = Field(
        None, description="quantile of the null, for rule quantile"
    )

    @model_validator(mode="after")
    def _complete(self) -> ScreeningSettings:
        if (self.rule == "quantile") != (self.quantile is not None):
            raise PydanticCustomError(
                "screening", "rule 'quantile' needs a quantile; 'maximum' has none"
            )
        return self


class TransferSettings(Section):
    """Which networks judge which metamers, in what jobs."""

    blocks: Literal["model"] | dict[Name, list[Name]] | None = Field(
        None,
        description="block: its generators (one modality); null: one a modality; "
        "'model': one a generator",
    )
    batch_size: Count = Field(100, description="stimuli a forward pass")


class RobustnessSettings(Section):
    """Adversarial attack on a trained network."""

    norm: Literal["l2", "linf"] = Field("l2", description="norm of the attack")
    epsilons: list[Epsilon] = Field(
        min_length=1,
        description="sizes of the attack",
        json_schema_extra=unit("stimulus units"),
    )
    steps: Count = Field(description="gradient steps (published: 64)")
    stimuli: Count = Field(description="test stimuli attacked (published: 1024)")


class Robustness(Section):
    """Adversarial attacks of each modality."""

    vision: RobustnessSettings | None = Field(None, description="images")
    audio: RobustnessSettings | None = Field(None, description="sounds")


class CollapseSettings(Section):
    """How near a stage brings noisy speech to the clean clip."""

    snr: Number = Field(
        0.0,
        description="signal-to-noise ratio of the noisy clips",
        json_schema_extra=unit("dB"),
    )
    backgrounds_per_clip: Count = Field(2, description="noisy versions of each clip")


class Control(Section):
    """One late stage for the two controls of the method."""

    model: Name = Field(description="one of models")
    stage: Name = Field(description="one of its stages")
    step_factor: int = Field(
        4, ge=2, description="times the steps of the longer optimisation"
    )


class Controls(Section):
    """Controls of each modality."""

    vision: Control | None = Field(None, description="images")
    audio: Control | None = Field(None, description="sounds")


class StatisticsSettings(Section):
    """Intervals and claims."""

    bootstrap: int = Field(
        2000, ge=100, description="bootstrap samples of stimuli and evaluators"
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="level of the intervals")
    claims: str = Field(
        "resources/claims.yaml", description="file of the claims to be tested"
    )
    paper_figures: bool = Field(
        False,
        description="draw the paper's figures with this study's networks and the "
        "published people, which are downloaded",
    )
