"""Names of architectures: resolved, and refused with the nearest right one."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torchvision
from torch import nn

from metamers.errors import StudyError
from metamers.networks.registry import (
    ARCHITECTURES,
    FRONT_ENDS,
    architecture_module,
    front_end_module,
    resolve_architecture,
    resolve_front_end,
)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_own_architectures_are_where_the_table_says(name):
    found = resolve_architecture(f"metamers:{name}")
    assert issubclass(found, nn.Module)
    assert found.__name__ == name
    assert found.__module__ == architecture_module(f"metamers:{name}")


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_front_ends_are_where_the_table_says(kind):
    assert resolve_front_end({"kind": kind}).__module__ == front_end_module(
        {"kind": kind}
    )
    assert front_end_module(None) is None


def test_other_sources():
    assert resolve_architecture("torchvision:alexnet") is torchvision.models.alexnet
    assert resolve_architecture("torch.nn:Linear") is nn.Linear
    assert resolve_architecture("torch:nn.Linear") is nn.Linear
    made = resolve_architecture("timm:resnet10t")(num_classes=3)
    assert made.get_classifier().out_features == 3
    for spec in ("torchvision:alexnet", "timm:resnet18", "torch.nn:Linear"):
        assert architecture_module(spec) is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("metamers:SmalAlexNet", "did you mean 'SmallAlexNet'"),
        ("torchvision:alexnett", "did you mean 'alexnet'"),
        ("torchvision:fcn_resnet50", "no classification network"),
        ("timm:resnet_18", "did you mean 'resnet18"),
        ("torch.nn:Linaer", "did you mean 'Linear'"),
        ("torch:__version__.nothing", "has no 'nothing'"),
        ("torch:__version__", "is a TorchVersion, not something that can be called"),
        ("torchvison:alexnet", "did you mean 'torchvision'"),
        ("no_such_package.networks:Net", "no module 'no_such_package'"),
        ("alexnet", "is not of the form"),
        (":alexnet", "is not of the form"),
        ("torchvision:", "is not of the form"),
    ],
)
def test_wrong_names_are_refused(spec, message):
    with pytest.raises(StudyError, match=message):
        resolve_architecture(spec)


def test_wrong_names_are_refused_without_importing_anything():
    with pytest.raises(StudyError, match="did you mean 'SmallResNet'"):
        architecture_module("metamers:SmallResnet")
    with pytest.raises(StudyError, match="did you mean 'cochleagram'"):
        front_end_module({"kind": "cochlegram"})


def test_an_error_inside_a_users_module_is_not_taken_for_a_wrong_name(
    tmp_path, monkeypatch
):
    (tmp_path / "own_networks.py").write_text("import no_such_requirement\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StudyError, match="no module 'no_such_requirement'"):
        resolve_architecture("own_networks:Net")


def test_looking_up_a_module_does_not_import_torch():
    code = (
        "import sys; from metamers.networks.registry import *; "
        "architecture_module('metamers:SmallAlexNet'); "
        "front_end_module({'kind': 'cochleagram'}); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_only_the_named_module_is_imported():
    code = (
        "import sys; from metamers.networks.registry import resolve_architecture; "
        "resolve_architecture('metamers:SmallResNet'); "
        "sys.exit(any(f'metamers.networks.{m}' in sys.modules "
        "for m in ('alexnet', 'cochcnn', 'cochleagram')) or 'timm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
