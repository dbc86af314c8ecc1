"""A training that is looked at, or killed and gone on with, ends in the same bits; asked for, the best weights stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from model_samples import CONFIG, episodes
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from episodes.errors import DataRefused, IntegrityError, UsageError
from models.networks import noisy, seeded
from models.training import BatchLoss, HeldOut, Training, TrainingConfig
from models.value_training import fit_value

STEPS = 40
X = torch.linspace(-1, 1, 64)[:, None]
Y = torch.sin(3 * X)


class Killed(Exception):
    pass


def descend(training: Training, *, killed_at: int = STEPS, held_out: HeldOut | None = None) -> tuple[list[float], int]:
    """(weights, batches drawn) of a small net with noise and dropout, on a one-cycle schedule."""
    generator, drawn = seeded(3), 0
    net = nn.Sequential(nn.Linear(1, 8), nn.SiLU(), nn.Dropout(0.2), nn.Linear(8, 1))
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-2)
    schedule = OneCycleLR(optimiser, 3e-2, total_steps=STEPS + 1)

    def loss(_: float) -> Tensor:
        nonlocal drawn
        if drawn == killed_at:
            raise Killed
        drawn += 1
        rows = torch.randint(len(X), (16,), generator=generator)
        return nn.functional.mse_loss(net(noisy(X[rows], 0.05)), Y[rows])

    training.descend(
        "net", net, loss, optimiser, generator, steps=STEPS, schedule=schedule, clip=1.0, held_out=held_out
    )
    return torch.cat([p.detach().flatten() for p in net.parameters()]).tolist(), drawn


def rising(losses: Sequence[float]) -> HeldOut:
    """Validation losses that are these, look by look."""
    told = iter([loss for loss in losses for _ in range(8)])
    return HeldOut(lambda _: torch.tensor(next(told)), torch.Generator())


PLAIN = descend(Training(config=TrainingConfig(looks=1)))


def test_a_training_that_is_looked_at_ends_where_one_that_is_not_does() -> None:
    training = Training(config=TrainingConfig(looks=8))
    assert descend(training) == PLAIN
    points = training.curves["net"]
    assert [point.step for point in points] == list(range(5, STEPS + 1, 5))
    assert points[-1].loss < points[0].loss
    assert all(math.isnan(point.validation) for point in points)


def test_a_killed_training_goes_on_from_its_last_look_and_ends_in_the_same_bits(tmp_path: Path) -> None:
    training = Training(config=TrainingConfig(looks=8), directory=tmp_path, of="v1")
    with pytest.raises(Killed):
        descend(training, killed_at=23)
    weights, drawn = descend(training)
    assert (weights, drawn) == (PLAIN[0], STEPS - 20)
    assert [point.step for point in training.curves["net"]] == list(range(5, STEPS + 1, 5))
    assert descend(training) == (PLAIN[0], 0)
    assert descend(replace(training, of="v2")) == PLAIN
    (tmp_path / "net.safetensors").write_bytes(b"torn")
    with pytest.raises(IntegrityError, match="remove it"):
        descend(training)


def test_the_weights_with_the_lowest_validation_loss_are_kept_and_patience_ends_it(tmp_path: Path) -> None:
    half = Training(config=TrainingConfig(looks=8, validate=True))
    early, drawn = descend(half, held_out=rising([5, 3, 4, 6, 7, 8, 9, 9]))
    assert drawn == STEPS
    asked = TrainingConfig(looks=8, validate=True, patience=2)
    stopped = Training(config=asked, directory=tmp_path)
    assert descend(stopped, held_out=rising([5, 3, 4, 6])) == (early, 20)
    assert [point.validation for point in stopped.curves["net"]] == [5, 3, 4, 6]
    assert descend(stopped, held_out=rising([])) == (early, 0)
    last, _ = descend(half, held_out=rising([9, 8, 7, 6, 5, 4, 3, 2]))
    assert last == PLAIN[0]


def test_validation_draws_the_same_batches_at_each_look_and_disturbs_nothing() -> None:
    seen: list[float] = []

    def build(data: Tensor, generator: torch.Generator) -> BatchLoss:
        def loss(_: float) -> Tensor:
            seen.append(float(torch.rand((), generator=generator) + torch.rand(())))
            return data.mean()

        return loss

    training = Training(config=TrainingConfig(looks=2, validate=True))
    with pytest.raises(DataRefused, match=r"training\.validate"):
        training.held_out(None, build)
    weights, _ = descend(training, held_out=HeldOut(build(X, g := torch.Generator()), g))
    assert seen[:8] == seen[8:]
    assert len(set(seen)) == 8
    assert len(weights) == len(PLAIN[0])
    with pytest.raises(UsageError, match="patience needs validate"):
        TrainingConfig(patience=2)


def test_a_value_model_keeps_the_best_of_each_net_by_validation_episodes() -> None:
    data = [replace(e, split="validation") if e.split == "test" else e for e in episodes()]
    training = Training(config=TrainingConfig(looks=4, validate=True))
    fit_value(data, replace(CONFIG, steps=12), training=training)
    nets = [points for name, points in training.curves.items() if name.startswith("value net")]
    assert [[point.step for point in points] for points in nets] == [[3, 6, 9, 12]] * 4
    assert all(math.isfinite(point.validation) for points in nets for point in points)
    with pytest.raises(DataRefused, match="no validation episode"):
        fit_value(list(episodes()), replace(CONFIG, steps=2), training=training)
