"""The proxy value: V learned from successes only, W that also knows about being stuck.

V is regressed on progress t/(T-1) of successful episodes (Smooth-L1, sigmoid output); failures give V no label,
because "failure = 0" teaches which policy acted instead of how far the task is. Four nets, each trained without one
fold of episodes: an episode's curve is always predicted by nets that did not train on it. No clock, no episode index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from episodes.errors import DataRefused
from episodes.record import ActionSource, Array
from models import checkpoint
from models.conformal import conformal_threshold
from models.curve import control_runs
from models.dataset import PRIVILEGED_PREFIX, StepData
from models.history import causal_median, history_features
from models.networks import ProgressNet, seeded
from models.progress import takeover_progress
from models.stall import StallHead, discounted, fit_stall_head, hindsight_labels, stall_probability

Progress = Callable[[str, int, int], None]
"""called with (what, done, total) during long work"""
TRAINED_SPLITS = ("train", "calibration")
STALL_BEFORE_TAKEOVER_S = 3.5
"""a person waits about three seconds and reacts in half a one"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueConfig:
    """Settings of the compact value model."""

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
    """share of successes whose stall probability may pass the dead band of W"""
    coverage: float = 0.9
    """share of out-of-fold success steps inside value_lo..value_hi"""
    objective: Literal["success_only"] = "success_only"
    seed: int = 0
    workers: int = 2

    def __post_init__(self) -> None:
        if self.folds < 2 or self.steps < 1:
            raise ValueError("a value model needs at least two folds and one step")


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
    metrics: dict[str, Any] = field(default_factory=dict)

    def judges(self, episode: StepData) -> tuple[int, ...]:
        """Indices of the nets that did not train on this episode."""
        held_out = self.fold_of.get(episode.group_id)
        return tuple(range(len(self.nets))) if held_out is None else (held_out,)

    def curves(self, episode: StepData) -> ValueCurves:
        """Curves by the nets that did not train on `episode`."""
        nets = self.judges(episode)
        inferred = [infer(self.nets[k], self.config, self.proprio_names, episode) for k in nets]
        return self.assemble(episode, nets, inferred)

    def assemble(
        self, episode: StepData, nets: tuple[int, ...], inferred: Sequence[tuple[Array, Array]]
    ) -> ValueCurves:
        """Curves from raw net outputs `(V, latents)` of `nets`."""
        per_net = np.stack([causal_median(v, episode.source) for v, _ in inferred])
        stall = np.mean(
            [
                stall_probability(self.heads[k], self.history(episode, v), episode.source)
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
            episode.source,
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
                "metrics": self.metrics,
            },
        )

    @classmethod
    def load(cls, directory: Path) -> ValueModel:
        """Read what `save` wrote; a missing or extra tensor is refused."""
        tensors, saved = checkpoint.load(directory, "proxy_value")
        config = ValueConfig(**{**saved["config"], "cameras": tuple(saved["config"]["cameras"])})
        names = tuple(saved["proprio_names"])
        nets = [ProgressNet(len(config.cameras), len(names), config.image_px).eval() for _ in range(config.folds)]
        heads = [StallHead().eval() for _ in nets]
        for k, (net, head) in enumerate(zip(nets, heads, strict=True)):
            checkpoint.load_state(net, tensors, f"net{k}.")
            checkpoint.load_state(head, tensors, f"stall{k}.")
        kept = ("fold_of", "fps", "median_duration_s", "dead_band", "half_width", "metrics")
        return cls(config, names, nets, heads, **{key: saved[key] for key in kept})


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
    net: ProgressNet, config: ValueConfig, names: Sequence[str], episode: StepData, batch: int = 256
) -> tuple[Array, Array]:
    """V (T,) float64 and latents (T, D) float32 of one net."""
    torch.set_num_threads(1)
    proprio = torch.as_tensor(select(episode, names))
    values, latents = [], []
    for start in range(0, len(episode), batch):
        steps = np.arange(start, min(start + batch, len(episode)))
        images = torch.as_tensor(episode.images(steps, config.cameras, config.image_px)) if config.cameras else None
        z = net.latent(images, proprio[steps])
        latents.append(z.numpy())
        values.append(net.progress(z).mean(dim=1).double().numpy())
    return np.concatenate(values), np.concatenate(latents)


def assign_folds(episodes: Sequence[StepData], folds: int) -> dict[str, int]:
    """group_id -> fold, dealt out within each kind (collection, outcome) in id order."""
    fold_of: dict[str, int] = {}
    dealt: dict[tuple[str, bool | None], int] = {}
    for episode in sorted(episodes, key=lambda e: e.episode_id):
        if episode.group_id in fold_of:
            continue
        kind = (episode.collection, episode.success)
        fold_of[episode.group_id] = dealt.get(kind, 0) % folds
        dealt[kind] = dealt.get(kind, 0) + 1
    return fold_of


def stall_starts(episode: StepData) -> list[int]:
    """Where the stall before each takeover began, as far as a recording tells: a reaction time before the person."""
    return [
        max(start - round(STALL_BEFORE_TAKEOVER_S * episode.fps), previous)
        for (previous, start), (_, _) in pairwise(control_runs(episode.source, length=len(episode)))
        if episode.source[start] == ActionSource.HUMAN
    ]


def train_net(episodes: Sequence[StepData], config: ValueConfig, names: tuple[str, ...], seed: int) -> ProgressNet:
    """One progress net on the successes among `episodes`."""
    generator = seeded(seed)
    successes = [e for e in episodes if e.success]
    labels = [takeover_progress(e.source, e.success, stall_starts=stall_starts(e)) for e in successes]
    weights = torch.as_tensor(
        np.concatenate([p.weights * e.weight for e, p in zip(successes, labels, strict=True)]), dtype=torch.float32
    )
    targets = torch.as_tensor(np.concatenate([p.targets for p in labels]), dtype=torch.float32)
    proprio = torch.as_tensor(np.concatenate([select(e, names) for e in successes]))
    index = np.concatenate([np.stack([np.full(len(e), i), np.arange(len(e))], 1) for i, e in enumerate(successes)])
    net = ProgressNet(len(config.cameras), len(names), config.image_px)
    net.standardise.fit(proprio.numpy())
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps + 1, pct_start=0.1
    )
    for _ in range(config.steps):
        draw = torch.multinomial(weights, config.batch, replacement=True, generator=generator)
        images = torch.as_tensor(_frames(successes, index[draw.numpy()], config)) if config.cameras else None
        progress = net.progress(net.latent(images, proprio[draw], config.proprio_noise))
        target = targets[draw][:, None].expand_as(progress)
        loss = nn.functional.smooth_l1_loss(progress, target, beta=config.beta)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return net.eval()


def _frames(episodes: Sequence[StepData], index: Array, config: ValueConfig) -> Array:
    return np.concatenate([episodes[i].images([t], config.cameras, config.image_px) for i, t in index])


def _train_and_infer(
    job: tuple[int, Sequence[StepData], dict[str, int], ValueConfig, tuple[str, ...]],
) -> tuple[int, dict[str, torch.Tensor], list[tuple[Array, Array]]]:
    """One fold in a worker process: train without it, then judge every episode."""
    k, episodes, fold_of, config, names = job
    net = train_net([e for e in episodes if fold_of.get(e.group_id) not in (None, k)], config, names, config.seed + k)
    return k, net.state_dict(), [infer(net, config, names, e) for e in episodes]


def fit_value(episodes: Sequence[StepData], config: ValueConfig, *, progress: Progress | None = None) -> ValueModel:
    """Cross-fit the ensemble on the train and calibration episodes and calibrate it out of fold.

    Raises `DataRefused` where outcomes are missing or too few.
    """
    usable = [e for e in episodes if e.split in TRAINED_SPLITS and e.success is not None]
    check_outcomes(episodes, usable, config.folds)
    names = value_columns(usable[0].proprio_names)
    fold_of = assign_folds(usable, config.folds)
    jobs = [(k, usable, fold_of, config, names) for k in range(config.folds)]
    nets: list[ProgressNet] = []
    outputs: list[list[tuple[Array, Array]]] = []
    for k, state, inferred in _run(jobs, config.workers):
        net = ProgressNet(len(config.cameras), len(names), config.image_px).eval()
        net.load_state_dict(state)
        nets.append(net)
        outputs.append(inferred)
        if progress:
            progress("value nets", k + 1, config.folds)
    unaided = [len(e) / e.fps for e in usable if e.success and e.unaided]
    model = ValueModel(
        config,
        names,
        nets,
        [StallHead().eval() for _ in nets],
        fold_of,
        fps=usable[0].fps,
        median_duration_s=float(np.median(unaided or [len(e) / e.fps for e in usable if e.success])),
        dead_band=1.0,
        half_width=0.0,
    )
    _calibrate(model, usable, outputs)
    return model


def _run(jobs: Sequence[Any], workers: int) -> Any:
    if workers <= 1:
        return map(_train_and_infer, jobs)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_train_and_infer, jobs))


def _calibrate(model: ValueModel, usable: Sequence[StepData], outputs: Sequence[Sequence[tuple[Array, Array]]]) -> None:
    """Stall heads fold by fold, then the dead band of W and the band of V, all out of fold."""
    oof = [causal_median(outputs[model.fold_of[e.group_id]][i][0], e.source) for i, e in enumerate(usable)]
    labels = [hindsight_labels(e, v) for e, v in zip(usable, oof, strict=True)]
    features = [model.history(e, v) for e, v in zip(usable, oof, strict=True)]
    for k in range(len(model.nets)):
        seen = [i for i, e in enumerate(usable) if model.fold_of[e.group_id] != k]
        y = np.concatenate([labels[i] for i in seen])
        known = np.isfinite(y)
        x = np.concatenate([features[i] for i in seen])
        model.heads[k] = fit_stall_head(x[known], y[known], seed=model.config.seed + 100 + k)
    stall = [
        stall_probability(model.heads[model.fold_of[e.group_id]], f, e.source)
        for e, f in zip(usable, features, strict=True)
    ]
    clean = [i for i, e in enumerate(usable) if e.success and e.unaided]
    peaks = np.array([stall[i].max() for i in clean])
    threshold = conformal_threshold(peaks, model.config.alpha)
    model.dead_band = float(min(threshold, 1.0))
    residuals = np.concatenate([np.abs(oof[i] - np.linspace(0, 1, len(oof[i]))) for i in clean] or [np.zeros(1)])
    model.half_width = float(np.quantile(residuals, model.config.coverage))


def check_outcomes(episodes: Sequence[StepData], usable: Sequence[StepData], folds: int) -> None:
    """Refuse what no value can be learned from, and say where outcomes are given."""
    task = episodes[0].task if episodes else "this task"
    if not usable:
        raise DataRefused(
            f"no episode of {task} has a known outcome, so no value can be learned; give outcomes on the app's page "
            "Episodes (`regrasp app`) and freeze them with `regrasp audit freeze episodes NAME`"
        )
    successes = sum(bool(e.success) for e in usable)
    if successes < 2 * folds:
        raise DataRefused(
            f"{task} has {successes} successful training episodes, {2 * folds} are needed for {folds} folds; "
            "collect more or give outcomes on the app's page Episodes"
        )
    names = usable[0].proprio_names
    odd = next((e for e in usable if e.proprio_names != names), None)
    if odd is not None:
        raise DataRefused(f"episode {odd.episode_id} of {task} has other proprio columns; exclude it or split the task")
    bad = next((e for e in usable if not np.isfinite(e.proprio).all()), None)
    if bad is not None:
        raise DataRefused(f"episode {bad.episode_id} of {task} has NaN or infinite proprio values; exclude it")
