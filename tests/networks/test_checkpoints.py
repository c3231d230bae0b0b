"""Checkpoints of every form, with each name accounted for, and nothing run."""

from __future__ import annotations

import os
import pickle
import re
import sys
import types
import zipfile
from collections import OrderedDict
from functools import partial

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from metamers.errors import StudyError
from metamers.networks.checkpoints import load_checkpoint, named_objects, read_state


class Tiny(nn.Module):
    """A convolution, a batch norm and a read-out."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.fc = nn.Linear(2, 5)


def other(module):
    """Return the module with each value moved, so that nothing is as initialized."""
    state = {
        key: value + torch.arange(value.numel()).reshape(value.shape) + 1
        for key, value in module.state_dict().items()
    }
    module.load_state_dict(state)
    return module


@pytest.fixture
def trained():
    return other(Tiny())


@pytest.fixture
def state(trained):
    return OrderedDict(trained.state_dict())


def robustness_format(state):
    """Lay a state out as the robustness library and the study's code save it."""
    found = {f"module.model.{key}": value for key, value in state.items()}
    found |= {f"module.attacker.model.{key}": value for key, value in state.items()}
    for prefix in ("module.normalizer", "module.attacker.normalize"):
        found[f"{prefix}.new_mean"] = torch.zeros(3, 1, 1)
        found[f"{prefix}.new_std"] = torch.ones(3, 1, 1)
    return found


def saved(content, tmp_path, *, old=False, name="weights.pt"):
    path = tmp_path / name
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path


def same(module, state):
    loaded = module.state_dict()
    assert set(loaded) == set(state)
    return all(torch.equal(loaded[key], value) for key, value in state.items())


FORMS = {
    "plain": dict,
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "best": torch.ones(())},
    "model": lambda s: {"model": s, "optimizer": {"state": {}}, "schedule": None},
    "model_state_dict": lambda s: {"model_state_dict": s},
    "parallel": lambda s: {f"module.{key}": value for key, value in s.items()},
    "own": lambda s: {f"body.{key}": value for key, value in s.items()},
    "robustness": lambda s: {"model": robustness_format(s), "epoch": 119},
    "robustness, alone": robustness_format,
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_each_form_comes_back_exactly(tmp_path, state, form, old):
    path = saved(form(state), tmp_path, old=old)
    fresh = Tiny()
    load_checkpoint(fresh, path)
    assert same(fresh, state)


def test_the_studys_own_format_of_a_real_network_comes_back_exactly(tmp_path):
    torch.manual_seed(0)
    trained = torchvision.models.alexnet(weights=None)
    state = trained.state_dict()
    path = saved({"model": robustness_format(state), "epoch": 119}, tmp_path)
    fresh = torchvision.models.alexnet(weights=None)
    load_checkpoint(fresh, path)
    assert same(fresh, state)


@pytest.mark.parametrize("form", ["plain", "robustness, alone"])
def test_safetensors_come_back_exactly(tmp_path, state, form):
    path = tmp_path / "weights.safetensors"
    content = FORMS[form](state)
    save_file({key: value.clone() for key, value in content.items()}, path)
    fresh = Tiny()
    load_checkpoint(fresh, path)
    assert same(fresh, state)


def test_half_precision_becomes_that_of_the_architecture(tmp_path, state):
    halved = {key: v.half() if v.is_floating_point() else v for key, v in state.items()}
    fresh = Tiny()
    load_checkpoint(fresh, saved(halved, tmp_path))
    assert {p.dtype for p in fresh.parameters()} == {torch.float32}
    assert same(fresh, {key: v.to(state[key].dtype) for key, v in halved.items()})


def test_a_name_that_is_the_architectures_own_is_never_changed(tmp_path):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(2, 2)
            self.model = nn.Linear(2, 2)

    trained, fresh = other(Wrapped()), Wrapped()
    load_checkpoint(fresh, saved(trained.state_dict(), tmp_path))
    assert same(fresh, trained.state_dict())


def test_rules_rename_in_order_and_leave_out(tmp_path, state):
    content = {f"features.module.{key}": value for key, value in state.items()}
    content["text.token"] = torch.ones(3)
    rules = {"rename": {r"^features\.": "x.", r"^x\.module\.": ""}}
    path = saved(content, tmp_path)
    with pytest.raises(StudyError, match=r"not in the network: text\.token \(1\)"):
        load_checkpoint(Tiny(), path, rules)
    fresh = Tiny()
    load_checkpoint(fresh, path, {**rules, "leave_out": [r"^text\."]})
    assert same(fresh, state)


def test_strangers_missing_and_shapes_are_listed(tmp_path, state):
    content = {**state, **{f"neck.{n}.weight": torch.ones(1) for n in range(7)}}
    content["fc.weight"] = torch.ones(4, 2)
    content["epoch"] = 3
    for key in ("conv.weight", "conv.bias"):
        del content[key]
    with pytest.raises(StudyError) as caught:
        load_checkpoint(Tiny(), saved(content, tmp_path))
    text = str(caught.value)
    assert "missing: conv.bias, conv.weight (2)" in text
    listed = ", ".join(f"neck.{n}.weight" for n in range(4))
    assert f"not in the network: epoch, {listed} ... (8)" in text
    assert "of another shape: fc.weight (4, 2) for (5, 2) (1)" in text


def test_nothing_is_loaded_of_a_file_that_does_not_fit(tmp_path, state):
    del state["conv.bias"]
    fresh = Tiny()
    before = {key: value.clone() for key, value in fresh.state_dict().items()}
    with pytest.raises(StudyError):
        load_checkpoint(fresh, saved(state, tmp_path))
    assert same(fresh, before)


def test_counters_of_batch_norm_may_be_missing(tmp_path, state):
    del state["norm.num_batches_tracked"]
    fresh = Tiny()
    load_checkpoint(fresh, saved(state, tmp_path))
    assert torch.equal(fresh.conv.weight, state["conv.weight"])


def test_a_copy_that_differs_is_refused(tmp_path, state):
    content = robustness_format(state)
    content["module.attacker.model.fc.bias"] = state["fc.bias"] + 1e-6
    with pytest.raises(
        StudyError,
        match=r"module\.attacker\.model\.fc\.bias should be a copy of "
        r"module\.model\.fc\.bias",
    ):
        load_checkpoint(Tiny(), saved(content, tmp_path))


def test_a_copy_without_its_original_is_a_stranger(tmp_path, state):
    content = robustness_format(state)
    del content["module.model.fc.bias"]
    with pytest.raises(StudyError, match=r"missing: fc\.bias .*attacker\.model\.fc"):
        load_checkpoint(Tiny(), saved(content, tmp_path))


def test_copies_of_other_names_are_compared_too(tmp_path, state):
    rules = {"copies": {r"^ema\.": ""}}
    content = {**state, "ema.fc.bias": state["fc.bias"].clone()}
    fresh = Tiny()
    load_checkpoint(fresh, saved(content, tmp_path), rules)
    assert same(fresh, state)
    content["ema.fc.bias"] = -state["fc.bias"]
    with pytest.raises(StudyError, match=r"ema\.fc\.bias should be a copy"):
        load_checkpoint(Tiny(), saved(content, tmp_path), rules)


def test_two_names_for_one_weight_are_refused(tmp_path, state):
    content = {**state, "module.fc.bias": state["fc.bias"]}
    with pytest.raises(StudyError, match=r"stand for fc\.bias, module\.fc\.bias"):
        load_checkpoint(Tiny(), saved(content, tmp_path))


# ------------------------------------------------------------------------ read-outs


@pytest.fixture
def backbone(tmp_path, state):
    """Return a file without read-out, as of self-supervised networks."""
    kept = {k: v for k, v in state.items() if not k.startswith("fc.")}
    return saved(kept, tmp_path, name="backbone.pth")


def test_what_is_trained_may_be_missing_and_keeps_its_values(backbone, state):
    fresh = Tiny()
    initial = fresh.fc.weight.detach().clone()
    with pytest.raises(StudyError, match=r"missing: fc\.bias, fc\.weight .*trainable"):
        load_checkpoint(fresh, backbone)
    with pytest.raises(StudyError, match="missing"):
        load_checkpoint(fresh, backbone, may_lack=["f"])
    load_checkpoint(fresh, backbone, may_lack=["fc"])
    assert torch.equal(fresh.fc.weight, initial)
    assert torch.equal(fresh.conv.weight, state["conv.weight"])


def test_a_head_gives_what_the_file_lacks_and_no_more(backbone, tmp_path, state):
    head = tmp_path / "head.safetensors"
    save_file({"fc.weight": state["fc.weight"], "fc.bias": state["fc.bias"]}, head)
    fresh = Tiny()
    load_checkpoint(fresh, backbone, head=head)
    assert same(fresh, state)
    with pytest.raises(StudyError, match=r"in both files: fc\.bias, fc\.weight \(2\)"):
        load_checkpoint(Tiny(), saved(state, tmp_path), head=head)
    save_file({"fc.weight": state["fc.weight"], "bias": state["fc.bias"]}, head)
    with pytest.raises(StudyError, match=r"missing: fc\.bias .*network: bias \(1\)"):
        load_checkpoint(Tiny(), backbone, head=head)
    with pytest.raises(StudyError, match="no weights at"):
        load_checkpoint(Tiny(), backbone, head=tmp_path / "none.safetensors")


# -------------------------------------------------------------------- other formats


def test_a_reader_is_called_by_its_name(tmp_path, monkeypatch, state):
    module = types.ModuleType("metamers.networks.of_a_test")
    module.read = lambda path: {**state, "read": torch.zeros(1)}
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = tmp_path / "weights.mat"
    path.write_bytes(b"MATLAB")
    rules = {"reader": f"{module.__name__}:read", "leave_out": ["^read$"]}
    fresh = Tiny()
    load_checkpoint(fresh, path, rules)
    assert same(fresh, state)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_torchscript_is_named_and_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save(path)
    with pytest.raises(StudyError, match="it is TorchScript, a program"):
        read_state(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("page.pth", b"<html>who are you?</html>", "not a plain file of weights"),
        ("nothing.pth", b"", "not a plain file of weights"),
        ("zip.pth", b"PK\x03\x04 and no more", "not a plain file of weights"),
        ("half.safetensors", b"\x10\x00\x00\x00", "is no safetensors file"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError, match=message):
        read_state(tmp_path / name)


def test_a_tensor_alone_is_no_checkpoint(tmp_path):
    path = saved(torch.ones(3), tmp_path)
    with pytest.raises(StudyError, match="holds a Tensor and no weights by name"):
        read_state(path)


# ----------------------------------------------------------------- nothing is run


class Run:
    """Runs a command where it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "was-run"


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("packages", [[], ["robustness"], ["posix", "os", "builtins"]])
def test_code_in_a_file_is_never_run(tmp_path, marker, state, old, packages):
    for call, name in (
        (Run(os.system, f"touch {marker}"), r"posix\.system"),
        (Run(exec, f"open({str(marker)!r}, 'w')"), r"__builtin__\.exec"),
    ):
        path = saved({"model": state, "args": call}, tmp_path, old=old)
        with pytest.raises(StudyError, match=rf"not opened.*it names: {name}"):
            load_checkpoint(Tiny(), path, {"placeholders": packages})
    assert not marker.exists()


def test_code_in_a_bare_pickle_is_never_run(tmp_path, marker):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"model": Run(os.system, f"touch {marker}")}))
    with pytest.raises(StudyError, match="not opened"):
        read_state(path)
    assert not marker.exists()


@pytest.fixture
def with_records(state):
    """Return a checkpoint with objects of a package that is not here, and numbers."""
    module = types.ModuleType("robustness.tools")

    class Parameters:
        def __init__(self):
            self.eps = 3.0

    Parameters.__module__, Parameters.__qualname__ = module.__name__, "Parameters"
    module.Parameters = Parameters
    return module, {
        "model": robustness_format(state),
        "args": Parameters(),
        "nat_prec1": np.float64(57.9),
        "table": np.arange(3),
    }


@pytest.mark.parametrize("old", [False, True])
def test_other_objects_become_placeholders_where_the_entry_says_so(
    tmp_path, monkeypatch, with_records, state, old
):
    module, content = with_records
    with monkeypatch.context() as here:
        here.setitem(sys.modules, "robustness", types.ModuleType("robustness"))
        here.setitem(sys.modules, module.__name__, module)
        path = saved(content, tmp_path, old=old)
    assert "robustness.tools.Parameters" in named_objects(path)
    with pytest.raises(StudyError, match=r"it names: numpy.*robustness\.tools"):
        load_checkpoint(Tiny(), path)
    with pytest.raises(StudyError, match="it names: numpy"):
        load_checkpoint(Tiny(), path, {"placeholders": ["robustness"]})
    fresh = Tiny()
    before = set(torch.serialization.get_safe_globals())
    load_checkpoint(fresh, path, {"placeholders": ["robustness", "numpy"]})
    assert same(fresh, state)
    assert "robustness" not in sys.modules
    assert set(torch.serialization.get_safe_globals()) == before


def test_names_are_found_in_every_protocol(tmp_path):
    content = {"a": OrderedDict(x=1), "b": partial(int, "1")}
    for protocol in (2, 3, 4, 5):
        path = tmp_path / f"{protocol}.pt"
        torch.save(content, path, pickle_protocol=protocol)
        with zipfile.ZipFile(path) as archive:
            assert any(name.endswith("data.pkl") for name in archive.namelist())
        found = named_objects(path)
        assert {"collections.OrderedDict", "functools.partial"} <= found, protocol
        assert all(re.fullmatch(r"[\w.]+", name) for name in found)
