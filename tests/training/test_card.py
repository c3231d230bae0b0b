"""The model card says what the network is and can do."""

import json

import pandas as pd

from metamers.files import write_json
from metamers.training.card import model_card
from metamers.training.loop import train
from metamers.training.robustness import measure_robustness

STAGES = {"relu": "relu", "plain_relu": "relu", "norm": "norm", "final": "final"}


def card_of(entry, path, **changes):
    result = train(entry, path, study_seed=0)
    arguments = {
        "model": "toy",
        "group": "standard",
        "stages": STAGES,
        "straight_through": {"plain_relu": False},
        "history": result.history,
        "stimuli_path": path,
    }
    card = model_card(result.network, entry, **{**arguments, **changes})
    return card, result


def test_a_card_describes_a_trained_network(image_file, image_entry, tmp_path):
    settings = {"norm": "l2", "epsilons": [0.0, 1.5], "steps": 3, "stimuli": 30}
    network = train(image_entry, image_file, study_seed=0).network
    robustness = measure_robustness(
        network, image_entry, settings, image_file, 0, model="toy"
    )
    card, result = card_of(
        image_entry, image_file, robustness=robustness, provenance={"device": "cpu"}
    )
    assert card["origin"] == "trained"
    # conv 4 x 9 + 4, norm 4 + 4, final 64 x 3 + 3
    assert card["parameters"] == 40 + 8 + 195
    stages = {stage.pop("name"): stage for stage in card["stages"]}
    assert list(stages) == list(STAGES)
    assert stages["relu"] == {
        "path": "relu",
        "gradient": "straight_through",
        "shape": [4, 4, 4],
        "units": 64,
    }
    assert stages["plain_relu"]["gradient"] == "plain"
    assert stages["norm"]["gradient"] == "plain"
    last = result.history.iloc[-1]
    assert card["epochs"] == 3
    assert card["test_accuracy"] == last["test_accuracy"]
    assert (card["test_split"], card["test_stimuli"]) == ("test", 40)
    accuracies = dict(zip(["0", "1.5"], robustness["accuracy"], strict=True))
    assert card["robust_accuracy"] == {
        "norm": "l2",
        "steps": 3,
        "stimuli": 30,
        "accuracy": accuracies,
    }
    write_json(card, tmp_path / "card.json")
    assert json.loads((tmp_path / "card.json").read_text())["group"] == "standard"


def test_a_card_of_an_untrained_network_is_json_too(image_file, image_entry, tmp_path):
    entry = {**image_entry, "training": None}
    card, result = card_of(entry, image_file)
    assert card["origin"] == "untrained"
    assert card["epochs"] == 0
    assert card["training_loss"] is None
    assert card["test_accuracy"] == result.history["test_accuracy"].iloc[-1]
    write_json(card, tmp_path / "card.json")


def test_a_card_can_be_made_from_the_history_on_disk(image_file, image_entry, tmp_path):
    card, result = card_of(image_entry, image_file)
    result.history.to_csv(tmp_path / "training.csv", index=False)
    history = pd.read_csv(tmp_path / "training.csv")
    again, _ = card_of(image_entry, image_file, history=history)
    card.pop("training_seconds"), again.pop("training_seconds")
    assert again == card
