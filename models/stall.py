"""The stall head: how probable it is that the robot is stuck, from the history features alone.

It learns from hindsight labels of out-of-fold V (no person, no simulator): a failed episode is stuck from half a
second after V last rose by .05, a taken-over one from there to the takeover, an unaided success never. W discounts V
by it: W = V (1 - clip((r - r0) / (1 - r0), 0, 1)), with r0 what a share alpha of the steps of unaided
successes exceed, so that a harmless pause does not dent the curve. (The peaks of successes would give an r0 that hides
real failures: many a success was stuck before it freed itself.)
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from episodes.record import ActionSource, Array
from models.curve import Runs
from models.dataset import StepData
from models.history import FEATURES
from models.networks import mlp, seeded
from models.training import Training

RISE = 0.05
"""V must gain this much over its running maximum to count as progress"""
SETTLE_S = 0.5
LAST_TAKEOVER_LEAD_S = 0.8
"""a person does not take over without a stall: the onset is at latest this long before"""
SMOOTH = 5
"""the probability is the mean of this many last outputs, missing ones counting 0"""


def last_rise(values: Array) -> int:
    """The last step at which the running maximum grew by `RISE` since it was last counted."""
    level, step = float(values[0]), 0
    for t, value in enumerate(values):
        if value > level + RISE:
            level, step = float(value), t
    return step


def hindsight_labels(episode: StepData, values: Array) -> Array:
    """(T,) float: 1 stuck, 0 not, NaN unknown.

    Known are the steps of unaided successes, of the policy's runs that end in a takeover, and of the run that ends a
    failure; all else (a person's steps, what follows a takeover in a success, half a second after each onset) is not.
    """
    labels = np.full(len(values), np.nan)
    if episode.unaided and episode.success:
        labels[:] = 0.0
        return labels
    runs = episode.runs
    for index, (start, stop) in enumerate(runs):
        if episode.source[start] != ActionSource.POLICY:
            continue
        ends_in_takeover = index + 1 < len(runs) and episode.source[stop] == ActionSource.HUMAN
        fails_here = stop == len(values) and episode.success is False
        if not (ends_in_takeover or fails_here):
            continue
        onset = start + last_rise(values[start:stop])
        if ends_in_takeover:
            onset = max(start, min(onset, stop - round(LAST_TAKEOVER_LEAD_S * episode.fps)))
        labels[start:onset] = 0.0
        labels[min(stop, onset + round(SETTLE_S * episode.fps)) : stop] = 1.0
    return labels


class StallHead(nn.Module):
    """(B, 11) history features to (B,) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = mlp([FEATURES, 32, 32, 1], dropout=0.1)

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(x_BF)
        return out[:, 0]


def fit_stall_head(
    features: Array,
    labels: Array,
    *,
    seed: int,
    steps: int = 400,
    batch: int = 128,
    name: str = "stall head",
    training: Training | None = None,
) -> StallHead:
    """Train on (n, 11) features with labels 0 or 1, half of every batch from each.

    Where one of the two was never seen nothing can be said of stalls: the probability is 0 and W is V.
    """
    generator = seeded(seed)
    head = StallHead()
    x, y = torch.as_tensor(features), torch.as_tensor(labels, dtype=torch.float32)
    groups = [torch.nonzero(y == label)[:, 0] for label in (0.0, 1.0)]
    if any(len(group) == 0 for group in groups):
        return _silent(head)
    optimiser = torch.optim.AdamW(head.parameters(), lr=2e-3, weight_decay=1e-2)

    def loss(_: float) -> torch.Tensor:
        draw = torch.cat([g[torch.randint(len(g), (batch // 2,), generator=generator)] for g in groups])
        return nn.functional.binary_cross_entropy_with_logits(head(x[draw]), y[draw])

    (training or Training()).descend(name, head, loss, optimiser, generator, steps=steps)
    return head


@torch.no_grad()
def _silent(head: StallHead) -> StallHead:
    """The head with an output of practically 0 for any input."""
    last = head.layers[-1]
    nn.init.zeros_(last.get_parameter("weight"))
    nn.init.constant_(last.get_parameter("bias"), -50.0)
    return head.eval()


@torch.no_grad()
def stall_probability(head: StallHead, features: Array, runs: Runs) -> Array:
    """(T,) probability, smoothed within each of `runs`."""
    raw = torch.sigmoid(head(torch.as_tensor(features))).double().numpy()
    return trailing_mean(raw, runs)


def trailing_mean(raw: Array, runs: Runs, width: int = SMOOTH) -> Array:
    """Sum of the last `width` values of the same run over `width`."""
    out = np.zeros(len(raw))
    for start, stop in runs:
        padded = np.concatenate([np.zeros(width - 1), raw[start:stop]])
        out[start:stop] = np.convolve(padded, np.ones(width), "valid") / width
    return out


def discounted(values: Array, stall: Array, dead_band: float) -> Array:
    """W of V and the stall probability; `dead_band` is r0."""
    if not dead_band < 1.0:
        return np.array(values, float)
    return np.asarray(values * (1 - np.clip((stall - dead_band) / (1 - dead_band), 0, 1)))
