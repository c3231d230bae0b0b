"""Networks that are not trained here: given weights, and untrained ones."""

import hashlib

import pytest
import torch

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


def test_a_download_of_another_checksum_is_refused(image_entry, tmp_path, monkeypatch):
    import pooch

    source = tmp_path / "weights.safetensors"
    network = build_network(image_entry, seed=5)
    save_weights(network, source)
    checksum = hashlib.sha256(source.read_bytes()).hexdigest()
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache")

    def copy(url, output_file, pooch_object, **options):
        with open(output_file, "wb") as file:
            file.write(source.read_bytes())

    monkeypatch.setattr("pooch.core.choose_downloader", lambda *a, **k: copy)
    url = "https://example.org/weights.safetensors"
    other = build_network(image_entry, seed=6)
    with pytest.raises(StudyError, match=r"example\.org"):
        load_given_weights(other, {"url": url, "sha256": "0" * 64})
    load_given_weights(other, {"url": url, "sha256": checksum})
    assert torch.equal(other.body.final.weight, network.body.final.weight)
