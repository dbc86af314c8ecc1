"""The intervention model: what the next action will lead to, what that is worth, and whether to intervene.

From the frozen latent z_t of the value net and the action a_t about to be sent, a future head predicts z_{t+1}; twin
value heads read V_{t+1} off the *predicted* latent; a risk head and a trigger head read the predicted latent beside an
encoding of the recent history (UniIntervene, sections 3.2 and 3.3). Here the trigger has its own head: one scalar
cannot both regress the signed risk R_t and separate the labels, because on a slow success the two disagree in sign.
Every net k is bound to value net k and to its fold, so its scores on held-out episodes are out of fold too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from episodes.errors import DataRefused, UsageError
from episodes.record import ActionSource, Array
from models import checkpoint
from models.curve import Runs
from models.dataset import Progress, StepData
from models.history import FEATURES
from models.networks import mlp, seeded
from models.risk import value_risk
from models.sampling import Draws
from models.sealed import as_written
from models.stall import trailing_mean
from models.training import BatchLoss, Training
from models.value import ValueCurves, ValueModel, infer

WITHOUT = {"no_future": ("future",), "no_value": ("next_value", "value"), "no_risk": ("risk",)}
"""ablation -> the terms of the loss that it leaves out"""
VARIANTS = ("full", "one_scalar", *WITHOUT)
VALUE_FEATURES = 6
"""the first ones of the history: V, when it rose, what it gained"""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterventionConfig:
    """Settings of the compact intervention model."""

    variant: str = "full"
    """full (ours), one_scalar (the release's: risk and trigger are one output), or an ablation of the paper: no_future
    (heads read the present latent), no_value (no value heads, no V in history), no_risk (no risk head, no history)"""
    steps: int = 600
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    focal_alpha: float = 0.75
    focal_gamma: float = 2.0
    window: int = 8
    """K of R_t, steps"""
    epsilon: float = 0.005
    """expected gain of V a step"""
    gamma: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise UsageError(f"there is no intervention model {self.variant!r}; use one of {', '.join(VARIANTS)}")


class InterventionNet(nn.Module):
    """Heads on (latent, action, history)."""

    def __init__(self, latent: int, action: int, variant: str = "full") -> None:
        super().__init__()
        self.variant = variant
        self.context = mlp([latent + action, 128, 128])
        self.future = mlp([128, 128, latent])
        self.values = nn.ModuleList(mlp([latent, 64, 1]) for _ in range(2))
        self.current_value = mlp([128, 64, 1])
        self.encode_history = nn.Sequential(nn.Linear(FEATURES, 32), nn.SiLU())
        self.risk = mlp([latent + 32, 64, 1], dropout=0.1)
        self.trigger = mlp([latent + 32, 64, 1], dropout=0.1)

    def forward(self, z_BD: Tensor, a_BA: Tensor, h_BF: Tensor) -> dict[str, Tensor]:
        context = self.context(torch.cat([z_BD, a_BA], 1))
        future_BD = z_BD if self.variant == "no_future" else z_BD + self.future(context)
        h_BF = self._seen(h_BF)
        joint = torch.cat([future_BD, self.encode_history(h_BF)], 1)
        return {
            "future": future_BD,
            "next_value": torch.cat([head(future_BD) for head in self.values], 1),
            "value": self.current_value(context)[:, 0],
            "risk": self.risk(joint)[:, 0],
            "trigger": (self.risk if self.variant == "one_scalar" else self.trigger)(joint)[:, 0],
        }

    def _seen(self, h_BF: Tensor) -> Tensor:
        """The history that a variant may see."""
        if self.variant == "no_risk":
            return torch.zeros_like(h_BF)
        if self.variant != "no_value":
            return h_BF
        return torch.cat([torch.zeros_like(h_BF[:, :VALUE_FEATURES]), h_BF[:, VALUE_FEATURES:]], 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class InterventionCurves:
    """One episode's curves; (T,) unless said."""

    trigger_logit: Array
    risk: Array
    """predicted R_t"""
    next_value: Array
    """min of the twins"""
    net_probabilities: Array
    """(K, T) smoothed trigger probability of each net that may judge the episode"""
    future: Array
    """(K, T, D) predicted latent of the next step"""


@dataclass(slots=True)
class InterventionModel:
    """One net for each value net."""

    config: InterventionConfig
    nets: list[InterventionNet]
    latent_size: int
    action_size: int
    value_hash: str

    def curves(self, model: ValueModel, episode: StepData, values: ValueCurves) -> InterventionCurves:
        """Curves by the nets that did not train on `episode`; `values` are its value curves."""
        actions = np.nan_to_num(episode.executed_action)
        outs = [
            self._net_outputs(k, z, actions, model.history(episode, v))
            for k, z, v in zip(values.nets, values.latents, values.net_values, strict=True)
        ]
        probabilities = [trailing_mean(1 / (1 + np.exp(-o["trigger"])), episode.runs) for o in outs]
        return InterventionCurves(
            trigger_logit=np.mean([o["trigger"] for o in outs], axis=0),
            risk=np.mean([o["risk"] for o in outs], axis=0),
            next_value=np.mean([o["next_value"].min(axis=1) for o in outs], axis=0),
            net_probabilities=np.stack(probabilities),
            future=np.stack([o["future"] for o in outs]),
        )

    @torch.no_grad()
    def _net_outputs(self, k: int, latents: Array, actions: Array, history: Array) -> dict[str, Array]:
        tensors = (torch.as_tensor(np.asarray(x, np.float32)) for x in (latents, actions, history))
        return {name: out.double().numpy() for name, out in self.nets[k](*tensors).items()}

    def save(self, directory: Path) -> str:
        """Write weights and config; returns the model's hash."""
        tensors: dict[str, Tensor] = {}
        for k, net in enumerate(self.nets):
            tensors |= checkpoint.prefixed(net, f"net{k}.")
        saved = {"kind": "intervention", "config": asdict(self.config), "nets": len(self.nets)}
        sizes = {"latent_size": self.latent_size, "action_size": self.action_size, "value_hash": self.value_hash}
        return checkpoint.save(directory, tensors, saved | sizes)

    @classmethod
    def load(cls, directory: Path) -> InterventionModel:
        """Read what `save` wrote; a missing or extra tensor is refused."""
        tensors, saved = checkpoint.load(directory, "intervention")
        with as_written(directory):
            config = InterventionConfig(**saved["config"])
            kept = {key: saved[key] for key in ("latent_size", "action_size", "value_hash")}
            sizes = saved["latent_size"], saved["action_size"], config.variant
            nets = [InterventionNet(*sizes).eval() for _ in range(saved["nets"])]
        checkpoint.load_state({f"net{k}.": net for k, net in enumerate(nets)}, tensors)
        return cls(config, nets, **kept)


@dataclass(slots=True)
class _Rows:
    """Training rows of one net, as tensors."""

    latent: Tensor
    action: Tensor
    history: Tensor
    next_latent: Tensor
    next_value: Tensor
    value: Tensor
    risk: Tensor
    label: Tensor
    """1, 0 or NaN where nobody knows"""
    weight: Tensor
    """of the episode"""


def risk_targets(values: Array, runs: Runs, config: InterventionConfig) -> Array:
    """R_t of every step, restarted at each of `runs`."""
    parts = [
        value_risk(values[start:stop], window=config.window, epsilon=config.epsilon, gamma=config.gamma)
        for start, stop in runs
    ]
    return np.concatenate(parts)


def training_labels(episode: StepData, stagnation: Array) -> Array:
    """(T,) float: the audited labels, NaN at a person's steps, whose stillness is not a stall."""
    labels = np.asarray(stagnation, float).copy()
    labels[np.isin(episode.source, (ActionSource.HUMAN, ActionSource.HOLD))] = np.nan
    return labels


def _rows(
    model: ValueModel, episode: StepData, curves: ValueCurves, labels: Array, config: InterventionConfig
) -> dict[int, _Rows]:
    """Net -> the episode's steps that have a successor in the same run, for each net that may train on it."""
    nets = [k for k in range(len(model.nets)) if k != model.fold_of.get(episode.group_id)]
    inferred = infer([model.nets[k] for k in nets], model.config, model.proprio_names, episode)
    here = np.concatenate([np.arange(start, stop - 1) for start, stop in episode.runs])
    values = curves.net_values[0]
    shared = {
        "action": np.nan_to_num(episode.executed_action)[here],
        "history": model.history(episode, values)[here],
        "next_value": values[here + 1],
        "value": values[here],
        "risk": risk_targets(values, episode.runs, config)[here],
        "label": training_labels(episode, labels)[here],
        "weight": np.full(len(here), episode.weight),
    }
    tensors = {name: torch.as_tensor(part, dtype=torch.float32) for name, part in shared.items()}
    latents = [torch.as_tensor(z, dtype=torch.float32) for _, z in inferred]
    return {k: _Rows(latent=z[here], next_latent=z[here + 1], **tensors) for k, z in zip(nets, latents, strict=True)}


def _joined(parts: Sequence[_Rows]) -> _Rows:
    names = _Rows.__dataclass_fields__
    return _Rows(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def focal_loss(logit: Tensor, label: Tensor, alpha: float, gamma: float) -> Tensor:
    """Mean focal loss (Lin et al. 2017, eq. 5)."""
    loss = nn.functional.binary_cross_entropy_with_logits(logit, label, reduction="none")
    certainty = torch.exp(-loss)
    weight = torch.where(label > 0.5, alpha, 1 - alpha)
    return (weight * (1 - certainty) ** gamma * loss).mean()


def losses(out: Mapping[str, Tensor], rows: _Rows, draw: Tensor, config: InterventionConfig) -> dict[str, Tensor]:
    """The five terms, each with weight 1 as in the release, at the steps `draw`, whose labels are known.

    An ablation leaves out the terms of what it does without.
    """
    smooth = nn.functional.smooth_l1_loss
    terms = {
        "future": 2 - 2 * nn.functional.cosine_similarity(out["future"], rows.next_latent[draw]).mean(),
        "next_value": smooth(out["next_value"], rows.next_value[draw][:, None].expand(-1, 2)),
        "value": smooth(out["value"], rows.value[draw]),
        "risk": smooth(out["risk"], rows.risk[draw]),
        "trigger": focal_loss(out["trigger"], rows.label[draw], config.focal_alpha, config.focal_gamma),
    }
    return {name: term for name, term in terms.items() if name not in WITHOUT.get(config.variant, ())}


def _train(
    k: int, rows: _Rows, held_out: _Rows | None, config: InterventionConfig, training: Training
) -> InterventionNet:
    generator = seeded(config.seed + k)
    net = InterventionNet(rows.latent.shape[1], rows.action.shape[1], config.variant)
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    other = training.held_out(held_out, lambda judged, g: _batch_loss(net, judged, config, g))
    loss, name = _batch_loss(net, rows, config, generator), f"intervention net {k}"
    training.descend(name, net, loss, optimiser, generator, steps=config.steps, held_out=other)
    return net


def _batch_loss(net: InterventionNet, rows: _Rows, config: InterventionConfig, generator: torch.Generator) -> BatchLoss:
    """Sum of the terms on a batch, half of it stuck."""
    groups = [torch.nonzero(rows.label == y)[:, 0] for y in (0.0, 1.0)]
    draws = [Draws(rows.weight[group].numpy(), generator) for group in groups]

    def loss(_: float) -> Tensor:
        half = config.batch // 2
        draw = torch.cat([group[drawn(half)] for group, drawn in zip(groups, draws, strict=True)])
        terms = losses(net(rows.latent[draw], rows.action[draw], rows.history[draw]), rows, draw, config)
        return sum(terms.values(), torch.zeros(()))

    return loss


def _both(rows: _Rows) -> bool:
    """Whether there are steps of both labels to draw from."""
    return bool((rows.label == 1).any() and (rows.label == 0).any())


def fit_intervention(
    episodes: Sequence[StepData],
    labels: Mapping[str, Array],
    model: ValueModel,
    config: InterventionConfig,
    *,
    curves: Mapping[str, ValueCurves],
    value_hash: str,
    progress: Progress | None = None,
    training: Training | None = None,
) -> InterventionModel:
    """Cross-fit on the folds of the value model, on its own episodes only: one without a fold would be judged by
    nets that all trained on it.

    `labels`: episode_id -> (T,) 1, 0 or NaN, the audited stagnation; `curves`: episode_id -> what `model.curves` gives.
    Raises `DataRefused` where a fold sees one class only.
    """
    usable = [e for e in episodes if e.group_id in model.fold_of and e.episode_id in labels]
    if not usable:
        raise DataRefused(
            "no episode of the value model has labels to train a trigger on; materialize the labels first"
        )
    training = training or Training()
    parts = [_rows(model, e, curves[e.episode_id], labels[e.episode_id], config) for e in usable]
    judging = [e for e in episodes if e.split == "validation" and e.episode_id in labels and training.config.validate]
    held_out = [_rows(model, e, curves[e.episode_id], labels[e.episode_id], config) for e in judging]
    nets = []
    for k in range(len(model.nets)):
        rows = _joined([part[k] for part in parts if k in part])
        if not _both(rows):
            raise DataRefused(
                "the audited labels hold no stagnation or nothing else, so no trigger can be learned; look at the "
                "app's page Trigger labels and freeze again"
            )
        judged = _joined([part[k] for part in held_out]) if held_out else None
        nets.append(_train(k, rows, judged if judged and _both(judged) else None, config, training))
        if progress:
            progress("intervention nets", k + 1, len(model.nets))
    sizes = {"latent_size": model.nets[0].latent_size, "action_size": usable[0].executed_action.shape[1]}
    return InterventionModel(config, nets, value_hash=value_hash, **sizes)
