"""HMAX against closed forms: gratings, pooled maxima, distances, its patch file."""

import numpy as np
import pytest
import torch
from scipy.io import savemat

from metamers.errors import StudyError
from metamers.networks.hmax import HMAX, PATCHES, patches_from_mat, random_patches
from metamers.networks.hmax_stages import (
    ORIENTATIONS,
    GaborEnergy,
    PatchTuning,
    ScalePooling,
    gabors,
    squared_distances,
)
from metamers.networks.network import (
    ImagePreprocessing,
    Network,
    load_weights,
    save_weights,
)
from metamers.networks.stages import StageForward, describe
from metamers.randomness import torch_generator

SMALL = {"classes": 5, "size": 40, "filter_sizes": 4, "patch_sizes": [2, 3]}
STAGES = (
    "s1_out",
    "c1_out_no_reshape",
    "s2_out_reshape_to_list",
    "c2_out",
    "final",
)


def small(seed: int = 0, **arguments) -> HMAX:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return HMAX(**{**SMALL, "patches": 6, **arguments}).eval().requires_grad_(False)


def images(count: int = 2, size: int = 40) -> torch.Tensor:
    generator = torch_generator(0, "images")
    return 255 * torch.rand(count, 1, size, size, generator=generator)


def grating(angle: float, wavelength: float, phase: float, size: int) -> torch.Tensor:
    """Return a wave that runs along the columns at angle 0, as in `gabors`."""
    offset = torch.arange(size, dtype=torch.float64) - size // 2
    angle = np.deg2rad(angle)
    along = offset[None] * np.cos(angle) - offset[:, None] * np.sin(angle)
    wave = torch.cos(2 * np.pi * along / wavelength + phase)
    return (127.5 + 100 * wave)[None, None]


@pytest.mark.parametrize("number", [0, 7, 15])
def test_filters_have_no_mean_and_unit_norm(number):
    size = 7 + 2 * number
    bank = gabors(size, 4.0 - 0.05 * number)
    assert bank.shape == (4, size, size)
    np.testing.assert_allclose(bank.sum((1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose((bank**2).sum((1, 2)), 1, rtol=1e-12)
    # Outside the disk a filter is constant: what the mean took.
    assert np.unique(bank[0][[0, 0, -1, -1], [0, -1, 0, -1]]).size == 1
    # Its center is its largest value, and it does not change when turned by 180.
    assert bank.reshape(4, -1).argmax(1).tolist() == [size * size // 2] * 4
    np.testing.assert_allclose(bank, bank[:, ::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(bank[0], bank[2].T, atol=1e-12)
    np.testing.assert_allclose(bank[1], bank[3][:, ::-1], atol=1e-12)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("number", [2, 7, 12])
def test_a_grating_peaks_at_its_orientation_and_size(orientation, number):
    s1 = GaborEnergy(16).double()
    wavelength = 2 * s1.sizes[number] / (4.0 - 0.05 * number)
    phases = np.linspace(0, np.pi, 8, endpoint=False)
    waves = [grating(orientation, wavelength, phase, 39) for phase in phases]
    best = s1(torch.cat(waves))[:, :, 19, 19].view(8, 16, 4).amax(0)
    channel = ORIENTATIONS.index(orientation)
    assert set(best[number - 2 : number + 3].argmax(1).tolist()) == {channel}
    # Pixels round the filters, so that a neighbor may be as good.
    assert abs(int(best[:, channel].argmax()) - number) <= 1
    assert best[number].topk(2).values[1] < 0.5 * best[number, channel]


def test_s1_is_a_normalized_response_with_a_border_of_zeros():
    x = images(1)
    s1 = GaborEnergy(4)(x)
    assert s1.shape == (1, 16, 40, 40)
    for number, size in enumerate((7, 9, 11, 13)):
        maps, half = s1[0, 4 * number : 4 * number + 4], size // 2
        inside = maps[:, half:-half, half:-half]
        assert maps.count_nonzero() == inside.count_nonzero()
        assert (inside > 0).any(0).all()
        row, column = 20, 15
        window = x[0, 0, row - half : row + half + 1, column - half : column + half + 1]
        bank = torch.from_numpy(gabors(size, 4.0 - 0.05 * number)).float()
        expected = (bank * window).sum((1, 2)).abs() / window.norm()
        torch.testing.assert_close(maps[:, row, column], expected, rtol=1e-4, atol=1e-6)
    assert s1.max() <= 1
    torch.testing.assert_close(GaborEnergy(4)(3 * x), s1, rtol=1e-4, atol=1e-6)


def test_c1_takes_maxima_over_sizes_and_neighborhoods():
    pooling = ScalePooling(4, 40)
    s1 = torch.rand(1, 16, 40, 40, generator=torch_generator(1, "s1"))
    flat = pooling(s1)
    assert pooling.sides == [11, 9]
    assert pooling.group_sizes == (121,) * 4 + (81,) * 4
    parts = flat[0].split(pooling.group_sizes)
    for band, (stride, side) in enumerate([(4, 11), (5, 9)]):
        for orientation in range(4):
            part = parts[4 * band + orientation].view(side, side)
            for row, column in ((0, 0), (3, 5), (side - 1, 2)):
                rows = slice(max(0, (row - 1) * stride), (row + 1) * stride)
                columns = slice(max(0, (column - 1) * stride), (column + 1) * stride)
                both = s1[0, [8 * band + orientation, 8 * band + 4 + orientation]]
                assert part[row, column] == both[:, rows, columns].max()


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_distances_are_those_computed_directly(size):
    generator = torch_generator(2, "distances")
    x = torch.rand(2, 4, 7, 7, generator=generator, dtype=torch.float64)
    patches = torch.rand(5, 4, size, size, generator=generator, dtype=torch.float64)
    half = size // 2
    padded = torch.nn.functional.pad(x, [half] * 4)
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)
    difference = windows[:, None] - patches[None, :, :, None, None]
    expected = difference.square().sum((2, 5, 6))
    found = squared_distances(x, patches)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    patches[0] = x[0, :, :size, :size]
    assert squared_distances(x, patches).min() == pytest.approx(0, abs=1e-12)
    assert squared_distances(x.float(), patches.float()).min() >= 0


def test_s2_is_gaussian_tuning_with_its_gradient():
    generator = torch_generator(3, "s2")
    sides, sizes = [5, 4], [2, 3]
    patches = [
        torch.rand(3, 4, size, size, generator=generator, dtype=torch.float64)
        for size in sizes
    ]
    tuning = PatchTuning(sides, patches, sigma=0.8)
    assert tuning.group_sizes == (3 * 36, 3 * 25, 3 * 25, 3 * 16)
    c1 = torch.rand(2, 4 * 41, generator=generator, dtype=torch.float64)
    maps = c1[:, :100].view(2, 4, 5, 5), c1[:, 100:].view(2, 4, 4, 4)
    expected = [
        torch.exp(-squared_distances(x, p) / (2 * 0.8**2)).flatten(1)
        for p in patches
        for x in maps
    ]
    torch.testing.assert_close(tuning(c1), torch.cat(expected, 1))
    c1.requires_grad_()
    assert torch.autograd.gradcheck(tuning, c1)


def test_c2_is_the_maximum_over_positions_and_bands():
    network = small()
    with torch.no_grad():
        s2 = network.s2_out_reshape_to_list(
            network.c1_out_no_reshape(network.s1_out(images()))
        )
        c2 = network.c2_out(s2)
    parts = s2.split(network.s2_out_reshape_to_list.group_sizes, 1)
    assert len(parts) == 4  # 2 patch sizes at 2 bands
    for size in range(2):
        bands = [part.view(2, 6, -1).amax(2) for part in parts[2 * size : 2 * size + 2]]
        expected = torch.maximum(*bands)
        torch.testing.assert_close(c2[:, 6 * size : 6 * size + 6], expected)


def test_the_published_network_has_its_sizes():
    network = HMAX().eval().requires_grad_(False)
    x = images(1, 250)
    with torch.no_grad():
        s1 = network.s1_out(x)
        c1 = network.c1_out_no_reshape(s1)
        s2 = network.s2_out_reshape_to_list(c1)
        c2 = network.c2_out(s2)
    assert s1.shape == (1, 64, 250, 250)
    sides = [250 // stride + 1 for stride in range(4, 12)]
    assert network.c1_out_no_reshape.sides == sides
    assert c1.shape == (1, 4 * sum(side**2 for side in sides)) == (1, 50572)
    assert len(network.s2_out_reshape_to_list.group_sizes) == 64
    assert s2.shape == (1, 3200 * sum((side + 1) ** 2 for side in sides))
    assert c2.shape == (1, 3200)
    assert network.final(c2).shape == (1, 1000)


def test_stages_are_one_tensor_each_and_reach_the_image():
    network = Network(ImagePreprocessing(std=[1 / 255]), small())
    x = images() / 255
    found = describe(network, {stage: stage for stage in STAGES}, x)
    units = (16 * 1600, 4 * 202, 6 * (144 + 100 + 121 + 81), 12, 5)
    assert tuple(stage.units for stage in found) == units
    assert {stage.gradient for stage in found} == {"plain"}
    for stage in STAGES:
        y = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(StageForward(network, stage)(y).sum(), y)
        assert torch.isfinite(gradient).all()
        assert (gradient.flatten(1).norm(dim=1) > 0).all()


def test_only_the_read_out_is_trained():
    network = HMAX(**SMALL, patches=6)
    assert [name for name, _ in network.named_parameters()] == [
        "final.weight",
        "final.bias",
    ]


def test_responses_to_random_patches_are_neither_0_nor_1():
    network = small(filter_sizes=8, size=96, patch_sizes=[4, 12], patches=30)
    with torch.no_grad():
        c1 = network.c1_out_no_reshape(network.s1_out(images(1, 96)))
        c2 = network.c2_out(network.s2_out_reshape_to_list(c1))
    assert c2.min() > 0.05
    assert c2[:, 30:].median() < 0.99
    assert c2.std() > 0.01


def test_random_patches_follow_the_generator():
    first, again, other = small(1), small(1), small(2)
    for name, patches in first.named_buffers():
        if PATCHES in name:
            assert torch.equal(patches, again.get_buffer(name))
            assert not torch.equal(patches, other.get_buffer(name))
            assert patches.min() >= 0
            assert patches.max() <= 1
            assert len(patches.flatten(1).unique(dim=0)) == len(patches)
    assert [tuple(p.shape) for p in random_patches([1, 5], 2)] == [
        (2, 4, 1, 1),
        (2, 4, 5, 5),
    ]


def test_weights_files_hold_the_patches(tmp_path):
    trained, fresh = small(1), small(2)
    save_weights(Network(torch.nn.Identity(), trained), tmp_path / "w.safetensors")
    load_weights(Network(torch.nn.Identity(), fresh), tmp_path / "w.safetensors")
    assert torch.equal(fresh(images()), trained(images()))


def write_mat(path, sizes=(2, 3), count=6, **changes):
    generator = np.random.default_rng(0)
    patches = [generator.random((size, size, 4, count)) for size in sizes]
    cells = np.empty((1, len(sizes)), dtype=object)
    for number, values in enumerate(patches):
        cells[0, number] = values.reshape(-1, count, order="F")
    shapes = np.array([[size, size, 4, count] for size in sizes]).T.astype(float)
    content = {"patches": cells, "patchSizes": shapes, **changes}
    savemat(path, {name: value for name, value in content.items() if value is not None})
    return patches


def test_the_public_patch_file_is_read(tmp_path):
    patches = write_mat(tmp_path / "set.mat")
    network = small()
    state = patches_from_mat(tmp_path / "set.mat")
    own = {name for name in network.state_dict() if name.startswith(PATCHES)}
    assert set(state) == own
    network.load_state_dict(state, strict=False)
    for number, values in enumerate(patches):
        found = state[f"{PATCHES}{number}"]
        assert found.dtype == torch.float32
        # Orientation 2 of patch 5, row 0, column 1.
        assert found[5, 2, 0, 1] == np.float32(values[0, 1, 2, 5])
        expected = values.transpose(3, 2, 0, 1).astype(np.float32)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patchSizes": None}, "no variable patchSizes; it is not the universal"),
        ({"patchSizes": np.array([[2, 3], [2, 2], [4, 4], [6, 6]])}, "not square"),
        ({"patchSizes": np.array([[2, 3], [2, 3], [4, 4], [6, 7]])}, "is damaged"),
    ],
)
def test_another_file_is_refused(tmp_path, changes, message):
    write_mat(tmp_path / "set.mat", **changes)
    with pytest.raises(StudyError, match=message):
        patches_from_mat(tmp_path / "set.mat")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filter_sizes": 3}, "filter_sizes is 3.*even"),
        ({"size": 13}, "images of 13 pixels.*largest filter, 13"),
        ({"patch_sizes": []}, "at least 1"),
        ({"patches": 0}, "at least 1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(StudyError, match=message):
        HMAX(**{**SMALL, **arguments})


def test_images_of_another_size_say_what_to_set():
    with pytest.raises(
        StudyError, match=r"\(1, 40, 40\).*\(3, 40, 40\).*channels and resize"
    ):
        small()(torch.zeros(1, 3, 40, 40))
