"""Networks that are not trained here: given weights, and untrained ones."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from metamers.errors import StudyError
from metamers.networks.network import build_network, save_weights
from metamers.training.data import training_stimuli
from metamers.training.start import load_given_weights, set_batch_norm_statistics


def test_batch_norm_statistics_are_averages_over_batches_and_nothing_else_moves(
    image_file, image_entry
):
    entry = {**image_entry, "training": None}
    network = build_network(entry, seed=0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    stimuli = training_stimuli(entry, image_file, seed=0)
    seen = []
    hook = network.body.conv.register_forward_hook(
        lambda module, inputs, output: seen.append(output.clone())
    )
    set_batch_norm_statistics(network, stimuli)
    hook.remove()
    # 100 stimuli are one batch of 100.
    assert [len(values) for values in seen] == [100]
    channels = seen[0].transpose(0, 1).flatten(1)
    norm = network.body.norm
    torch.testing.assert_close(norm.running_mean, channels.mean(dim=1))
    torch.testing.assert_close(norm.running_var, channels.var(dim=1))
    assert norm.momentum == 0.1
    moved = {
        name
        for name, value in network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved == {
        "body.norm.running_mean",
        "body.norm.running_var",
        "body.norm.num_batches_tracked",
    }


def test_several_batches_weigh_the_same(image_file, image_entry, monkeypatch):
    monkeypatch.setattr("metamers.training.start.STATISTICS_BATCH_SIZE", 25)
    entry = {**image_entry, "training": None}
    network = build_network(entry, seed=0)
    means = []
    hook = network.body.conv.register_forward_hook(
        lambda module, inputs, output: means.append(output.mean(dim=(0, 2, 3)))
    )
    set_batch_norm_statistics(network, training_stimuli(entry, image_file, seed=0))
    hook.remove()
    assert len(means) == 4
    torch.testing.assert_close(
        network.body.norm.running_mean, torch.stack(means).mean(dim=0)
    )


def test_given_weights_are_loaded_when_the_checksum_is_right(image_entry, tmp_path):
    path = tmp_path / "weights.safetensors"
    trained = build_network(image_entry, seed=5)
    save_weights(trained, path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    network = build_network(image_entry, seed=6)
    load_given_weights(network, {"path": str(path), "sha256": checksum})
    for name, value in trained.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def test_wrong_weights_are_refused(image_entry, tmp_path):
    path = tmp_path / "weights.safetensors"
    network = build_network(image_entry, seed=5)
    save_weights(network, path)
    with pytest.raises(StudyError, match=r"weights\.sha256 is 0000"):
        load_given_weights(network, {"path": str(path), "sha256": "0" * 64})
    with pytest.raises(StudyError, match="there is no file"):
        load_given_weights(network, {"path": str(tmp_path / "none.pth")})
    with pytest.raises(StudyError, match="need a path, or a url together"):
        load_given_weights(network, {"url": "https://example.org/weights.pth"})
    arguments = {**image_entry, "arguments": {"classes": 4}}
    with pytest.raises(StudyError, match="do not fit"):
        load_given_weights(build_network(arguments, seed=0), {"path": str(path)})


def test_a_download_is_checked_and_kept(image_entry, tmp_path, monkeypatch):
    network = build_network(image_entry, seed=5)
    save_weights(network, tmp_path / "weights.safetensors")
    content = (tmp_path / "weights.safetensors").read_bytes()
    checksum = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache")
    asked = []

    def send(url, output_file, pooch, **options):
        asked.append(url)
        Path(output_file).write_bytes(content)

    monkeypatch.setattr("pooch.HTTPDownloader", lambda **options: send)
    url = "https://example.org/weights.safetensors?download=1"
    other = build_network(image_entry, seed=6)
    with pytest.raises(StudyError, match=rf"example\.org.* is {checksum}, not 0000"):
        load_given_weights(other, {"url": url, "sha256": "0" * 64})
    for _ in range(2):
        load_given_weights(other, {"url": url, "sha256": checksum})
    assert torch.equal(other.body.final.weight, network.body.final.weight)
    assert asked == [url, url]
    # A file that was changed there is fetched again.
    (tmp_path / "cache" / f"{checksum}.safetensors").write_bytes(b"changed")
    load_given_weights(other, {"url": url, "sha256": checksum})
    assert asked == [url] * 3


def test_what_is_trained_from_there_may_be_missing(image_entry, tmp_path):
    trained = build_network(image_entry, seed=5)
    state = {
        key: value
        for key, value in trained.body.state_dict().items()
        if not key.startswith("final.")
    }
    path = tmp_path / "backbone.pth"
    torch.save({"state_dict": state}, path)
    weights = {"path": str(path), "rules": {"lacks": ["final"]}}

    def load(weights, training=None):
        network = build_network(image_entry, seed=6)
        initial = network.body.final.weight.detach().clone()
        load_given_weights(network, weights, training)
        assert torch.equal(network.body.conv.weight, trained.body.conv.weight)
        return torch.equal(network.body.final.weight, initial)

    assert load(weights, {"trainable": ["final"]})
    # Where all learn, what public weights are known to lack.
    assert load(weights, {"trainable": []})
    for wrong, training in (
        (weights, None),
        (weights, {"trainable": ["norm"]}),
        ({"path": str(path)}, {"trainable": []}),
    ):
        with pytest.raises(StudyError, match=r"missing: final\.bias, final\.weight"):
            load(wrong, training)
    head = {
        "final.weight": trained.body.final.weight.detach().clone(),
        "final.bias": trained.body.final.bias.detach().clone(),
    }
    save_file(head, tmp_path / "head.safetensors")
    given = {**weights, "head": str(tmp_path / "head.safetensors")}
    network = build_network(image_entry, seed=6)
    load_given_weights(network, given)
    for key, value in trained.state_dict().items():
        assert torch.equal(network.state_dict()[key], value), key


def test_rules_of_public_weights_are_used(image_entry, tmp_path):
    trained = build_network(image_entry, seed=5)
    state = {f"net.{key}": value for key, value in trained.body.state_dict().items()}
    torch.save({"model": {**state, "text.token": torch.ones(2)}}, tmp_path / "w.pt")
    rules = {"rename": {r"^net\.": ""}, "leave_out": [r"^text\."]}
    network = build_network(image_entry, seed=6)
    load_given_weights(network, {"path": str(tmp_path / "w.pt"), "rules": rules})
    for key, value in trained.state_dict().items():
        assert torch.equal(network.state_dict()[key], value), key
