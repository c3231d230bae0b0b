"""Which models each figure of the paper holds, and in which panels.

Read by the rules of the workflow at every start, hence without imports of its own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """One panel: models of one experiment that have the same stages.

    Attributes
    ----------
    modality, experiment
        Which experiment, by its number in the released code.
    models
        In the order in which they are drawn.
    title
        Above the panel.
    """

    modality: str
    experiment: int
    models: tuple[str, ...]
    title: str


def _single(modality: str, experiment: int, models: str) -> list[Panel]:
    return [Panel(modality, experiment, (name,), "") for name in models.split()]


RESNET, ALEXNET = "resnet50", "alexnet"
COCHRESNET, COCHCNN = "cochresnet50", "kell2018"
# The panels of each figure of people.
PANELS: dict[str, list[Panel]] = {
    "figure_2c": _single("vision", 1, "cornet_s vgg_19 resnet50 resnet101 alexnet"),
    "figure_2d": _single(
        "vision",
        12,
        "CLIP_resnet50 CLIP_ViT-B_32 SWSL_resnet50 SWSL_resnext101_32x8d "
        "vision_transformer_vit_large_patch16_224",
    ),
    "figure_2_audio": _single("audio", 1, "kell2018 cochresnet50"),
    "figure_3c": [
        Panel(
            "vision",
            5,
            (RESNET, *(f"{RESNET}_{end}" for end in ("simclr", "moco_v2", "byol"))),
            "supervised and self-supervised ResNet50",
        )
    ],
    "figure_3d": [
        Panel(
            "vision",
            16,
            (
                "konkle_alexnetgn_ipcl_ref01_primary_model",
                "konkle_alexnetgn_ipcl_ref12_supervised_ipcl_aug",
            ),
            "AlexNetGN",
        )
    ],
    "figure_3_stylized": [
        Panel("vision", 10, (name, f"texture_shape_{name}_trained_on_SIN"), title)
        for name, title in ((RESNET, "ResNet50"), (ALEXNET, "AlexNet"))
    ],
    "figure_4": [
        Panel(
            "vision",
            3,
            (
                RESNET,
                *(
                    f"{RESNET}_{end}"
                    for end in (
                        "l2_3_robust",
                        "linf_4_robust",
                        "linf_8_robust",
                        "random_l2_perturb",
                        "random_linf8_perturb",
                    )
                ),
            ),
            "ResNet50",
        ),
        Panel(
            "vision",
            4,
            (
                ALEXNET,
                *(
                    f"{ALEXNET}_{end}"
                    for end in (
                        "l2_3_robust",
                        "linf_8_robust",
                        "random_l2_3_perturb",
                        "random_linf8_perturb",
                    )
                ),
            ),
            "AlexNet",
        ),
    ],
    "figure_5": [
        Panel("audio", experiment, (name, *(f"{name}_{end}" for end in ends)), title)
        for experiment, name, title, ends in (
            (
                4,
                COCHCNN,
                "CochCNN9, waveform perturbations",
                (
                    "l2_1_robust_waveform",
                    "linf_p002_robust_waveform",
                    "l2_1_random_step_waveform",
                    "linf_p002_random_step_waveform",
                ),
            ),
            (
                3,
                COCHRESNET,
                "CochResNet50, waveform perturbations",
                (
                    "l2_1_robust_waveform",
                    "l2_p5_robust_waveform",
                    "linf_p002_robust_waveform",
                    "l2_1_random_step_waveform",
                    "linf_p002_random_step_waveform",
                ),
            ),
            (
                8,
                COCHCNN,
                "CochCNN9, cochleagram perturbations",
                (
                    "l2_1_robust_cochleagram",
                    "l2_p5_robust_cochleagram",
                    "l2_1_random_step_cochleagram",
                    "l2_1_robust_waveform",
                ),
            ),
            (
                7,
                COCHRESNET,
                "CochResNet50, cochleagram perturbations",
                (
                    "l2_1_robust_cochleagram",
                    "l2_p5_robust_cochleagram",
                    "l2_1_random_step_cochleagram",
                    "l2_1_robust_waveform",
                ),
            ),
        )
    ],
    "figure_ed4_hmax": _single("vision", 6, "hmax_standard"),
    "figure_ed_spectemp": _single("audio", 6, "spectemp_filters"),
}

COCHLEAGRAM = "_robust_cochleagram"
WAVEFORM = "_robust_waveform"
# {figure: {group: its generators}}, for figures of groups that other networks judge.
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "figure_8b": {
        "standard": ("resnet50",),
        "self-supervised": ("resnet50_simclr", "resnet50_moco_v2", "resnet50_byol"),
        "adversarial": (
            "resnet50_l2_3_robust",
            "resnet50_linf_4_robust",
            "resnet50_linf_8_robust",
        ),
    },
    "figure_8d": {
        "standard": ("cochresnet50",),
        "adversarial, waveform": (
            f"cochresnet50_l2_1{WAVEFORM}",
            f"cochresnet50_l2_p5{WAVEFORM}",
            f"cochresnet50_linf_p002{WAVEFORM}",
        ),
        "adversarial, cochleagram": (
            f"cochresnet50_l2_1{COCHLEAGRAM}",
            f"cochresnet50_l2_p5{COCHLEAGRAM}",
        ),
    },
    "figure_6d-h": {
        name: (name,)
        for name in (
            "alexnet_early_checkpoint",
            "alexnet_reduced_aliasing_early_checkpoint",
            "vonealexnet_gaussian_noise_std4_fixed",
        )
    },
}
# Figures of all networks of a sense, and how many of them the paper has.
ALL_NETWORKS = {
    "figure_7b": "vision",
    "figure_7d": "audio",
    "figure_8e": "vision",
    "figure_8f": "audio",
    "figure_s3_vision": "vision",
    "figure_s3_audio": "audio",
}
COMPARED = {"vision": 29, "audio": 17}
# The paper does not compare these with other networks (its released notebooks,
# VisualNetworkNetworkPredictions and AudioNetworkNetworkPredictions).
CLASSICAL = ("hmax_standard", "spectemp_filters")


def holds(figure: str, modality: str, model: str) -> bool:
    """Say whether a published model is in a figure.

    Parameters
    ----------
    figure
        Name of a figure.
    modality
        Of the model, ``vision`` or ``audio``.
    model
        Name of the model in the released code.
    """
    if figure in ALL_NETWORKS:
        return ALL_NETWORKS[figure] == modality and model not in CLASSICAL
    named = [panel.models for panel in PANELS.get(figure, ())]
    named += GROUPS.get(figure, {}).values()
    return any(model in models for models in named)
