"""The compact networks: a small convolutional encoder and the heads on it.

Shape suffixes: B batch, C cameras, H W pixels, P proprio values, D latent size, A action size, K outputs.
162 k parameters with two cameras; one 64-pixel frame costs about 0.4 ms on one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

LATENT = 64
"""latent values per camera"""
CLIP_SD = 4.0
"""standardised proprio is clipped here"""


class Standardise(nn.Module):
    """(x - mean) / sd, clipped; constants of the training set, kept with the weights."""

    mean: Tensor
    sd: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("sd", torch.ones(size))

    def fit(self, x: npt.NDArray[Any], floor: float = 0.01) -> None:
        """Take mean and sd from (n, size) training values; `floor` keeps near-constant columns quiet."""
        self.mean = torch.as_tensor(np.mean(x, axis=0), dtype=torch.float32)
        self.sd = torch.as_tensor(np.maximum(np.std(x, axis=0), floor), dtype=torch.float32)

    def forward(self, x_BP: Tensor) -> Tensor:
        return ((x_BP - self.mean) / self.sd).clamp(-CLIP_SD, CLIP_SD)


class ConvEncoder(nn.Module):
    """One camera frame to a latent; shared by all cameras."""

    def __init__(self, image_px: int) -> None:
        super().__init__()
        side = (image_px // 4 + 1) // 2
        side = (side + 1) // 2
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, 16, 4, 4),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * side * side, LATENT),
        )

    def forward(self, x_BHW: Tensor) -> Tensor:
        out: Tensor = self.convolutions(x_BHW)
        return out


class ProgressNet(nn.Module):
    """Frames and proprio to a latent and to K progress estimates, in (0, 1) where `squash`."""

    def __init__(self, cameras: int, proprio: int, image_px: int, heads: int = 2, *, squash: bool = True) -> None:
        super().__init__()
        self.squash = squash
        self.cameras = cameras
        self.standardise = Standardise(proprio)
        self.encoder = ConvEncoder(image_px) if cameras else None
        self.norm = nn.LayerNorm(LATENT * cameras) if cameras else None
        self.heads = nn.ModuleList(mlp([LATENT * cameras + proprio, 128, 128, 1]) for _ in range(heads))

    @property
    def latent_size(self) -> int:
        return LATENT * self.cameras + len(self.standardise.mean)

    def latent(self, images_BCHW3: Tensor | None, proprio_BP: Tensor, noise: float = 0.0) -> Tensor:
        """(B, D): normalised camera latents beside standardised proprio."""
        proprio_BP = noisy(self.standardise(proprio_BP), noise)
        if self.encoder is None or self.norm is None or images_BCHW3 is None:
            return proprio_BP
        B, C = images_BCHW3.shape[:2]
        x = images_BCHW3.flatten(0, 1).permute(0, 3, 1, 2).float().div_(255).sub_(0.5)
        z_BD = self.norm(self.encoder(x.contiguous(memory_format=torch.channels_last)).view(B, C * LATENT))
        return torch.cat([z_BD, proprio_BP], dim=1)

    def progress(self, latent_BD: Tensor) -> Tensor:
        """(B, K) progress."""
        out = torch.cat([head(latent_BD) for head in self.heads], dim=1)
        return torch.sigmoid(out) if self.squash else out


def noisy(x: Tensor, sd: float) -> Tensor:
    """`x` with Gaussian noise of `sd`; where that is 0, `x` itself, and no random number is drawn."""
    return x + sd * torch.randn_like(x) if sd else x


def mlp(sizes: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with SiLU between; LayerNorm after the first, which steadies small data sets."""
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(a, b))
        if i == len(sizes) - 2:
            break
        if i == 0:
            layers.append(nn.LayerNorm(b))
        layers.append(nn.SiLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def seeded(seed: int) -> torch.Generator:
    """A generator for batch draws, and the global seed for initial weights; one thread, as small nets want."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)
