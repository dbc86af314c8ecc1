"""The proxy value: V learned from successes only, W that also knows about being stuck.

V is regressed on progress t/(T-1) of successful episodes (Smooth-L1, sigmoid output); failures give V no label,
because "failure = 0" teaches which policy acted instead of how far the task is. Four nets, each trained without one
fold of episodes: an episode's curve is always predicted by nets that did not train on it. No clock, no episode index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from episodes.errors import DataRefused, UsageError
from episodes.record import Array
from models import checkpoint
from models.dataset import PRIVILEGED_PREFIX, StepData
from models.history import causal_median, history_features
from models.networks import ProgressNet
from models.sealed import as_written
from models.stall import StallHead, discounted, stall_probability

OBJECTIVES = ("successes", "release", "paper")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueConfig:
    """Settings of the compact value model."""

    objective: str = "successes"
    """what V is taught: successes (ours), release or paper (UniIntervene's, for comparison)"""
    squash: bool = True
    """V through a sigmoid, so in (0, 1); False: any number, as published"""
    cameras: tuple[str, ...] = ("third",)
    """camera names; empty for the proprioceptive model"""
    image_px: int = 64
    folds: int = 4
    steps: int = 700
    """gradient steps per net"""
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    beta: float = 0.1
    """Smooth-L1 knee"""
    proprio_noise: float = 0.05
    """Gaussian, in standard deviations, while training"""
    alpha: float = 0.1
    """share of the steps of unaided successes whose stall probability passes the dead band of W"""
    coverage: float = 0.9
    """share of out-of-fold success steps inside value_lo..value_hi"""
    seed: int = 0
    workers: int = 2

    def __post_init__(self) -> None:
        if self.folds < 2 or self.steps < 1:
            raise UsageError(f"a value model cannot have {self.folds} folds of {self.steps} steps; use 2 and 1 or more")
        if self.objective not in OBJECTIVES:
            raise UsageError(f"there is no objective {self.objective!r} of a value; use one of {', '.join(OBJECTIVES)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueCurves:
    """One episode's curves; each (T,) float64."""

    value: Array
    value_lo: Array
    value_hi: Array
    success_score: Array
    stall_probability: Array
    net_values: Array
    """(K, T): V of each net that may judge this episode"""
    latents: Array
    """(K, T, D) float32"""
    nets: tuple[int, ...]
    """which nets those are"""


@dataclass(slots=True)
class ValueModel:
    """K progress nets with their stall heads, and what calibrates them."""

    config: ValueConfig
    proprio_names: tuple[str, ...]
    """the columns it reads, in order"""
    nets: list[ProgressNet]
    heads: list[StallHead]
    fold_of: dict[str, int]
    """group_id -> the net that did not see it"""
    fps: float
    median_duration_s: float
    dead_band: float
    """r0 of W"""
    half_width: float
    """of the band value_lo..value_hi, measured out of fold"""

    def judges(self, episode: StepData) -> tuple[int, ...]:
        """Indices of the nets that did not train on this episode."""
        held_out = self.fold_of.get(episode.group_id)
        return tuple(range(len(self.nets))) if held_out is None else (held_out,)

    def curves(self, episode: StepData) -> ValueCurves:
        """Curves by the nets that did not train on `episode`."""
        nets = self.judges(episode)
        return self.assemble(
            episode, nets, infer([self.nets[k] for k in nets], self.config, self.proprio_names, episode)
        )

    def assemble(
        self, episode: StepData, nets: tuple[int, ...], inferred: Sequence[tuple[Array, Array]]
    ) -> ValueCurves:
        """Curves from raw net outputs `(V, latents)` of `nets`."""
        per_net = np.stack([causal_median(v, episode.runs) for v, _ in inferred])
        stall = np.mean(
            [
                stall_probability(self.heads[k], self.history(episode, v), episode.runs)
                for k, v in zip(nets, per_net, strict=True)
            ],
            axis=0,
        )
        value = per_net.mean(axis=0)
        return ValueCurves(
            value=value,
            value_lo=np.clip(value - self.half_width, 0, 1),
            value_hi=np.clip(value + self.half_width, 0, 1),
            success_score=discounted(value, stall, self.dead_band),
            stall_probability=stall,
            net_values=per_net,
            latents=np.stack([z for _, z in inferred]),
            nets=nets,
        )

    def history(self, episode: StepData, values: Array) -> Array:
        """(T, 11) history features of one net's curve."""
        return history_features(
            values,
            episode.ee_pose[:, :3],
            episode.wrench,
            episode.runs,
            fps=self.fps,
            median_duration_s=self.median_duration_s,
        )

    def save(self, directory: Path) -> str:
        """Write weights and config; returns the model's hash."""
        tensors: dict[str, torch.Tensor] = {}
        for k, (net, head) in enumerate(zip(self.nets, self.heads, strict=True)):
            tensors |= checkpoint.prefixed(net, f"net{k}.") | checkpoint.prefixed(head, f"stall{k}.")
        return checkpoint.save(
            directory,
            tensors,
            {
                "kind": "proxy_value",
                "config": asdict(self.config),
                "proprio_names": self.proprio_names,
                "fold_of": self.fold_of,
                "fps": self.fps,
                "median_duration_s": self.median_duration_s,
                "dead_band": self.dead_band,
                "half_width": self.half_width,
            },
        )

    @classmethod
    def load(cls, directory: Path) -> ValueModel:
        """Read what `save` wrote; a missing or extra tensor is refused."""
        tensors, saved = checkpoint.load(directory, "proxy_value")
        with as_written(directory):
            config = ValueConfig(**{**saved["config"], "cameras": tuple(saved["config"]["cameras"])})
            names = tuple(saved["proprio_names"])
            kept = {key: saved[key] for key in ("fold_of", "fps", "median_duration_s", "dead_band", "half_width")}
        nets = [progress_net(config, names).eval() for _ in range(config.folds)]
        heads = [StallHead().eval() for _ in nets]
        modules = {f"net{k}.": net for k, net in enumerate(nets)} | {f"stall{k}.": head for k, head in enumerate(heads)}
        checkpoint.load_state(modules, tensors)
        return cls(config, names, nets, heads, **kept)


def progress_net(config: ValueConfig, names: Sequence[str]) -> ProgressNet:
    """An untrained net that reads the proprio columns `names` and the config's cameras."""
    return ProgressNet(len(config.cameras), len(names), config.image_px, squash=config.squash)


def value_columns(names: Sequence[str]) -> tuple[str, ...]:
    """The proprio columns a value model may read: all but the privileged object estimates."""
    return tuple(name for name in names if not name.startswith(PRIVILEGED_PREFIX))


def select(episode: StepData, names: Sequence[str]) -> Array:
    """(T, len(names)) proprio columns by name."""
    missing = [name for name in names if name not in episode.proprio_names]
    if missing:
        raise DataRefused(
            f"episode {episode.episode_id} has no proprio value {missing[0]!r}; its robot is another one, exclude it"
        )
    return np.asarray(episode.proprio[:, [episode.proprio_names.index(name) for name in names]])


@torch.no_grad()
def infer(
    nets: Sequence[ProgressNet], config: ValueConfig, names: Sequence[str], episode: StepData, batch: int = 256
) -> list[tuple[Array, Array]]:
    """V (T,) float64 and latents (T, D) float32 of each net; a frame is decoded once for all of them."""
    torch.set_num_threads(1)
    proprio = torch.as_tensor(select(episode, names))
    parts: list[list[tuple[Array, Array]]] = [[] for _ in nets]
    for start in range(0, len(episode), batch):
        steps = np.arange(start, min(start + batch, len(episode)))
        images = torch.as_tensor(episode.images(steps, config.cameras, config.image_px)) if config.cameras else None
        for net, part in zip(nets, parts, strict=True):
            z = net.latent(images, proprio[steps])
            part.append((net.progress(z).mean(dim=1).double().numpy(), z.numpy()))
    return [(np.concatenate([v for v, _ in part]), np.concatenate([z for _, z in part])) for part in parts]
