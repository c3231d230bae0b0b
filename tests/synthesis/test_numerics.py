"""The numerical settings are those of the study, and only while they are needed."""

import torch

from metamers.synthesis.numerics import reproducible


def test_threads_are_set_and_restored():
    before = torch.get_num_threads()
    with reproducible("cpu", before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with reproducible("cpu", None):
        assert torch.get_num_threads() == before


def test_kernels_of_a_gpu_repeat_and_keep_float32():
    convolution = torch.backends.cudnn.allow_tf32
    with reproducible("cuda", 1):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.allow_tf32 == convolution
