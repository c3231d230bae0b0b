"""Whose networks a figure of the paper shows: the published ones, or those of a study.

People are the published ones in both cases, and judged the published metamers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Source:
    """The words and numbers of a figure that depend on whose networks it shows.

    Attributes
    ----------
    chance
        Proportion correct of a network by chance, by modality.
    absent, unanswered
        Said of a model that has no data at all, and of one whose own answers are
        missing.
    no_model, no_people, no_transfer, no_brain_scores, no_cortex, no_attack
        What stands in a panel, or beside it, whose data are missing; ``{norm}`` is that
        of the attack.
    people_note, robustness_note
        Below the figures of people, and below figure 6; ``{chance}`` is that of people,
        ``{images}`` how many were attacked.
    others
        Said of the networks that the paper has besides those of figures 8e and 8f.
    """

    chance: Mapping[str, float]
    absent: str
    unanswered: str
    no_model: str
    no_people: str
    no_transfer: str
    no_brain_scores: str
    no_cortex: str
    no_attack: str
    people_note: str
    robustness_note: str
    others: str


# A network chooses among 16 categories, or 793 words and the class of no word.
PUBLISHED = Source(
    chance={"vision": 1 / 16, "audio": 1 / 794},
    absent="not here",
    unanswered="no own answers",
    no_model="the published data\nof people\nare not here",
    no_people="people: not here",
    no_transfer="the published answers of networks\nare not here",
    no_brain_scores="the published Brain-Scores\nare not here",
    no_cortex="no data",
    no_attack="accuracy under {norm} attack\nis not here",
    people_note="Lines with symbols: people; dashed: the generating network on the\n"
    "same stimuli. Mean ± 1 SEM over participants. Dotted: chance ({chance}).",
    robustness_note="d-f: filled: mean of five attacks on {images} images; open: read "
    "off the published figure. g: dashed: the generating network.\n"
    "h: mean over the other published networks. Bars: ± 1 SEM.",
    others="the answers of the others are\nnot published",
)

STUDY = Source(
    chance=PUBLISHED.chance,
    absent="not in this study",
    unanswered="no own answers",
    no_model="not in this study",
    no_people="people: not here",
    no_transfer="no answers of networks of this study\nto the metamers of another",
    no_brain_scores="no Brain-Scores\nof this study's networks:\nthe recordings are\n"
    "no part of it",
    no_cortex="no regressions\nof this study's\nnetworks: the\nfMRI data are\n"
    "no part of it",
    no_attack="no {norm} attack\nin this study",
    people_note="Lines with symbols: people, on metamers of the published networks "
    "(± 1\nSEM over participants). Dashed: this study's networks, on metamers of\n"
    "their own (± 1 SEM over stimuli). Dotted: chance of people ({chance}).",
    robustness_note="d-f: networks of this study, on {images} attacked images. g: "
    "people, on metamers of the published networks;\ndashed: this study's networks on "
    "metamers of their own. h: mean over this study's other networks. Bars: ± 1 SEM.",
    others="the others are not in this study",
)


def of_study(chance: Mapping[str, float | None]) -> Source:
    """Return the source of a study's figures.

    Parameters
    ----------
    chance
        Proportion correct of its networks by chance, by modality, where it is known.
    """
    known = {modality: value for modality, value in chance.items() if value}
    return replace(STUDY, chance={**PUBLISHED.chance, **known})


def one_in(chance: float) -> str:
    """Write a proportion correct by chance as one over the answers: ``1/16``."""
    return f"1/{round(1 / chance)}"
