"""An encoder of camera frames that learns what cloning the demonstrations needs, and is frozen after that.

    z = norm(conv(frame)) of each camera,   a = tanh(f(z, proprio)),   L1 to what the person did

The head f is thrown away: whoever learns on takes z for the frames. A frame is shifted by a few pixels while training
(random shifts, Kostrikov et al. 2020), or 20 demonstrations are learned by heart; proprio is noisy, or it alone says
what the demonstrator did next and the frames are not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from episodes.errors import UsageError
from episodes.record import ActionSource, Array
from models import checkpoint
from models.cloning import clone
from models.dataset import StepData
from models.networks import LATENT, ConvEncoder, Standardise, mlp, noisy, seeded
from models.sealed import as_written
from models.value import select, value_columns

AT_ONCE = 64
"""frames encoded together: what an episode's pictures take in memory does not grow with its length"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeeingConfig:
    """Settings of the encoder."""

    cameras: tuple[str, ...] = ("third", "wrist")
    image_px: int = 64
    steps: int = 1_500
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    proprio_noise: float = 0.3
    """Gaussian, in standard deviations, while training"""
    shift_px: int = 2
    """largest random shift of a frame while training"""
    hidden: int = 128
    """of the head"""
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.cameras:
            raise UsageError("an encoder of camera frames needs a camera; name one or two")


class SeeingNet(nn.Module):
    """The encoder, and the head that taught it."""

    def __init__(self, config: SeeingConfig, proprio: int, actions: int) -> None:
        super().__init__()
        cameras = len(config.cameras)
        self.encoder = ConvEncoder(config.image_px)
        self.norms = nn.ModuleList(nn.LayerNorm(LATENT) for _ in range(cameras))
        self.standardise = Standardise(proprio)
        self.head = mlp([LATENT * cameras + proprio, config.hidden, config.hidden, actions])

    def latents(self, x_BC3HW: Tensor) -> Tensor:
        """(B, C, 3, H, W) of 0..1 to (B, C * LATENT)."""
        z_NL = self.encoder(x_BC3HW.flatten(0, 1).sub(0.5).contiguous(memory_format=torch.channels_last))
        z_BCL = z_NL.view(len(x_BC3HW), len(self.norms), LATENT)
        return torch.cat([norm(z_BCL[:, c]) for c, norm in enumerate(self.norms)], dim=1)

    def forward(self, x_BC3HW: Tensor, proprio_BP: Tensor, noise: float) -> Tensor:
        """The action that the head reads from frames and noisy proprio."""
        proprio_BP = noisy(self.standardise(proprio_BP), noise)
        return torch.tanh(self.head(torch.cat([self.latents(x_BC3HW), proprio_BP], dim=1)))


@dataclass(slots=True)
class FrameEncoder:
    """A frozen encoder."""

    config: SeeingConfig
    net: SeeingNet

    @property
    def names(self) -> tuple[str, ...]:
        """Of the latents, camera by camera."""
        return tuple(f"latent/{camera}/{i}" for camera in self.config.cameras for i in range(LATENT))

    @torch.no_grad()
    def of(self, images: npt.NDArray[np.uint8]) -> Array:
        """(n, C, H, W, 3) frames to (n, C * LATENT) float32."""
        return np.asarray(self.net.latents(_tensor(images)).numpy())

    def episode(self, episode: StepData) -> Array:
        """(T, C * LATENT) of an episode's recorded frames."""
        config = self.config
        starts = range(0, len(episode), AT_ONCE)
        steps = [np.arange(start, min(start + AT_ONCE, len(episode))) for start in starts]
        return np.concatenate([self.of(episode.images(some, config.cameras, config.image_px)) for some in steps])

    def save(self, directory: Path) -> str:
        """Write weights and config; returns the model's hash."""
        actions = next(reversed(list(self.net.head.parameters()))).shape[0]
        shape = {"proprio": len(self.net.standardise.mean), "actions": actions}
        saved = {"kind": "frame_encoder", "config": asdict(self.config), **shape}
        return checkpoint.save(directory, checkpoint.prefixed(self.net, "net."), saved)

    @classmethod
    def load(cls, directory: Path) -> FrameEncoder:
        """Read what `save` wrote."""
        tensors, saved = checkpoint.load(directory, "frame_encoder")
        with as_written(directory):
            config = SeeingConfig(**{**saved["config"], "cameras": tuple(saved["config"]["cameras"])})
            net = SeeingNet(config, saved["proprio"], saved["actions"]).eval()
        checkpoint.load_state({"net.": net}, tensors)
        return cls(config, net)


def fit_encoder(demonstrations: Sequence[StepData], config: SeeingConfig) -> FrameEncoder:
    """Train it end to end with a clone of the person's steps; of proprio the clone sees what no object tracker gives.

    `DataRefused` where a demonstration lacks a camera. In memory are all frames of the demonstrations, as bytes.
    """
    driven = [np.flatnonzero(d.source == ActionSource.HUMAN) for d in demonstrations]
    names = value_columns(demonstrations[0].proprio_names)
    pairs = list(zip(demonstrations, driven, strict=True))
    frames = np.concatenate([d.images(steps, config.cameras, config.image_px) for d, steps in pairs])
    proprio = torch.as_tensor(np.concatenate([select(d, names)[steps] for d, steps in pairs]))
    done = torch.as_tensor(np.concatenate([d.executed_action[steps] for d, steps in pairs]))
    generator = seeded(config.seed)
    net = SeeingNet(config, proprio.shape[1], done.shape[1])
    net.standardise.fit(proprio.numpy())

    def batch_loss() -> Tensor:
        draw = torch.randint(len(frames), (config.batch,), generator=generator)
        seen = _shifted(_tensor(frames[draw.numpy()]), config.shift_px, generator)
        return nn.functional.l1_loss(net(seen, proprio[draw], config.proprio_noise), done[draw])

    clone(net, batch_loss, config, "frame encoder", None)
    return FrameEncoder(config, net)


def _tensor(images: npt.NDArray[np.uint8]) -> Tensor:
    """(n, C, H, W, 3) bytes to (n, C, 3, H, W) of 0..1."""
    return torch.as_tensor(images).permute(0, 1, 4, 2, 3).float().div_(255)


def _shifted(x_BC3HW: Tensor, most_px: int, generator: torch.Generator) -> Tensor:
    """Each row's frames moved by up to `most_px` along both axes, the edge repeated."""
    if not most_px:
        return x_BC3HW
    side = x_BC3HW.shape[-1]
    padded = nn.functional.pad(x_BC3HW.flatten(1, 2), (most_px,) * 4, mode="replicate").view(
        *x_BC3HW.shape[:3], side + 2 * most_px, side + 2 * most_px
    )
    corners = torch.randint(2 * most_px + 1, (len(x_BC3HW), 2), generator=generator).tolist()
    return torch.stack([row[..., y : y + side, x : x + side] for row, (y, x) in zip(padded, corners, strict=True)])
