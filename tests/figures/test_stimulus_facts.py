"""What the figures say of the stimuli."""

import numpy as np
import pytest

from metamers.figures.stimulus_facts import chance_by_modality, synthetic_note
from metamers.stimuli.files import Split, StimulusSet, write_stimuli


@pytest.fixture(params=[True, False])
def sounds(request, tmp_path):
    split = Split(
        stimulus=np.zeros((3, 8), dtype=np.int16),
        id=np.array(["a", "b", "c"]),
        label={"word": np.array([0, 1, 2])},
    )
    names = {"word": ["one", "two", "three"]}
    path = tmp_path / "audio.h5"
    stimuli = StimulusSet("audio", {"reference": split}, names, 8000, request.param)
    write_stimuli(stimuli, path, tmp_path / "audio.csv")
    return path, request.param


def test_chance_counts_the_categories_of_the_references(sounds):
    assert chance_by_modality([sounds[0]]) == {"audio": 1 / 3}


def test_speech_is_called_synthetic_only_where_it_is(sounds):
    path, synthetic = sounds
    assert ("eSpeak NG" in synthetic_note([path])) is synthetic
