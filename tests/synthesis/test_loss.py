"""The matching loss against its closed form."""

import pytest
import torch

from metamers.randomness import torch_generator
from metamers.synthesis.loss import (
    SmoothnessPrior,
    loss_and_activation_gradient,
    matching_loss,
    roughness,
    target_scale,
)


def test_loss_is_the_relative_norm_of_each_stimulus():
    target = torch.tensor([[[3.0, 4.0]], [[0.0, 2.0]]])
    activation = torch.tensor([[[3.0, 0.0]], [[1.0, 2.0]]])
    expected = torch.tensor([4 / 5, 1 / 2])
    torch.testing.assert_close(matching_loss(activation, target), expected)
    scale = target_scale(target)
    torch.testing.assert_close(matching_loss(activation, target, scale), expected)


def test_loss_ignores_the_scale_of_the_stage():
    generator = torch_generator(1, "loss")
    target = torch.rand(3, 2, 4, generator=generator, dtype=torch.float64)
    activation = torch.rand(3, 2, 4, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(
        matching_loss(1e3 * activation, 1e3 * target), matching_loss(activation, target)
    )


def test_a_silent_target_is_matched_by_silence():
    target = torch.zeros(2, 3)
    activation = torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]], requires_grad=True)
    loss = matching_loss(activation, target)
    torch.testing.assert_close(loss, torch.tensor([0.0, 5.0]))
    (gradient,) = torch.autograd.grad(loss.sum(), activation)
    expected = torch.tensor([[0.0, 0.0, 0.0], [0.6, 0.0, 0.8]])
    torch.testing.assert_close(gradient, expected)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2, 3\) cannot be matched .* \(1, 3\)"):
        matching_loss(torch.zeros(2, 3), torch.zeros(1, 3))


def test_the_activation_gradient_is_that_of_autograd():
    generator = torch_generator(2, "loss")
    target = torch.rand(4, 2, 3, generator=generator, dtype=torch.float64)
    activation = torch.rand(4, 2, 3, generator=generator, dtype=torch.float64)
    activation[1] = target[1]  # matched already
    target[2] = 0.0
    activation.requires_grad_()
    expected_loss = matching_loss(activation, target)
    (expected,) = torch.autograd.grad(expected_loss.sum(), activation)
    loss, gradient = loss_and_activation_gradient(
        activation, target, target_scale(target)
    )
    torch.testing.assert_close(loss, expected_loss.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)
    assert not gradient[1].any()


def test_roughness_is_the_mean_squared_difference_of_neighbors():
    sound = torch.tensor([[0.0, 1.0, 3.0], [2.0, 2.0, 2.0]])
    torch.testing.assert_close(roughness(sound), torch.tensor([2.5, 0.0]))
    image = torch.tensor([[[[0.0, 1.0], [0.0, 3.0]]]])
    # Side by side 1 and 9, above one another 0 and 4.
    torch.testing.assert_close(roughness(image), torch.tensor([3.5]))
    channels = torch.cat([image, image + 7], 1)  # which are no neighbors
    torch.testing.assert_close(roughness(channels), torch.tensor([3.5]))


@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (3, 9)])
def test_the_prior_is_the_gradient_of_roughness_relative_to_the_reference(shape):
    generator = torch_generator(3, "prior")
    reference = torch.rand(shape, generator=generator, dtype=torch.float64)
    x = torch.rand(shape, generator=generator, dtype=torch.float64)
    reference[2] = 0.25  # as smooth as can be
    gradient = SmoothnessPrior(reference, 0.3).gradient(x)
    natural = roughness(reference)
    natural[2] = 1.0
    step = torch.rand(shape, generator=generator, dtype=torch.float64)
    change = (roughness(x + 1e-6 * step) - roughness(x - 1e-6 * step)) / 2e-6
    along = (gradient * step).flatten(1).sum(1)
    torch.testing.assert_close(along, 0.3 * change / natural, rtol=1e-7, atol=1e-9)
    # A stimulus and its reference in another unit: the penalty is the same.
    scaled = SmoothnessPrior(10 * reference[:2], 0.3).gradient(10 * x[:2])
    torch.testing.assert_close(10 * scaled, gradient[:2])
