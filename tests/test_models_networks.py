"""The compact networks: sizes, ranges and what a seed fixes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.networks import CLIP_SD, LATENT, ProgressNet, Standardise, mlp, seeded


def test_the_sizes_that_the_docstring_names() -> None:
    sizes = {n: sum(p.numel() for p in ProgressNet(n, 19, 64).parameters()) for n in (0, 1, 2)}
    assert sizes == {0: 38_914, 1: 144_946, 2: 161_458}


@pytest.mark.parametrize("image_px", [16, 30, 64, 100])
@pytest.mark.parametrize("cameras", [0, 1, 2])
def test_any_size_of_picture_gives_progress_between_0_and_1(cameras: int, image_px: int) -> None:
    net = ProgressNet(cameras, 5, image_px).eval()
    images = torch.randint(0, 256, (3, cameras, image_px, image_px, 3), dtype=torch.uint8)
    latent = net.latent(images if cameras else None, torch.randn(3, 5))
    assert latent.shape == (3, net.latent_size) == (3, LATENT * cameras + 5)
    progress = net.progress(latent)
    assert progress.shape == (3, 2)
    assert ((progress > 0) & (progress < 1)).all()


def test_standardised_columns_have_mean_0_and_sd_1_and_quiet_ones_stay_quiet() -> None:
    x = np.random.default_rng(0).normal(3.0, 2.0, (500, 3))
    x[:, 2] = 7.0 + 1e-5 * x[:, 2]
    scale = Standardise(3)
    scale.fit(x)
    out = scale(torch.as_tensor(x, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(out[:, :2].mean(0), 0, atol=0.02)
    np.testing.assert_allclose(out[:, :2].std(0), 1, atol=0.02)
    assert np.abs(out[:, 2]).max() < 0.01
    assert scale(torch.full((1, 3), 1e9)).max() == CLIP_SD


def test_a_seed_fixes_weights_draws_and_noise() -> None:
    def made(seed: int) -> list[torch.Tensor]:
        generator = seeded(seed)
        net = ProgressNet(0, 2, 64)
        drawn = torch.randint(1000, (4,), generator=generator)
        return [net.heads[0][0].weight, drawn, net.latent(None, torch.zeros(2, 2), noise=0.1)]  # type: ignore[index,list-item]

    assert all(torch.equal(a, b) for a, b in zip(made(3), made(3), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(made(3), made(4), strict=True))


def test_an_mlp_normalises_once_and_ends_linear() -> None:
    kinds = [type(layer).__name__ for layer in mlp([4, 8, 8, 1], dropout=0.1)]
    assert kinds == ["Linear", "LayerNorm", "SiLU", "Dropout", "Linear", "SiLU", "Dropout", "Linear"]
