"""Training the proxy value: four nets, each without its own fold, then everything calibrated out of fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from episodes.errors import DataRefused
from episodes.record import Array
from models.dataset import TRAINED_SPLITS, Progress, StepData, check_alike
from models.history import causal_median
from models.networks import ProgressNet, seeded
from models.processes import Processes
from models.progress import progress_targets
from models.snapshots import Point
from models.stall import StallHead, fit_stall_head, hindsight_labels, stall_probability
from models.training import BatchLoss, Training
from models.value import ValueConfig, ValueModel, infer, progress_net, value_columns
from models.value_objectives import PublishedObjective, SuccessObjective

REFERENCE_STEPS = 300


class _Job(NamedTuple):
    """One fold to be trained without."""

    k: int
    episodes: Sequence[StepData]
    fold_of: dict[str, int]
    config: ValueConfig
    names: tuple[str, ...]
    training: Training
    validation: Sequence[StepData] = ()


class _Fold(NamedTuple):
    """What came of it."""

    k: int
    weights: dict[str, torch.Tensor]
    judged: dict[str, Array]
    """V of the fold's own episodes by id"""
    curve: list[Point]


def assign_folds(episodes: Sequence[StepData], folds: int) -> dict[str, int]:
    """group_id -> fold, dealt out in turn: successes first, one collection after the other, in id order.

    So folds are equal in each kind and in all of them together, up to one, and none lacks successes.
    """
    dealt = sorted(episodes, key=lambda e: (not e.success, e.collection, e.episode_id))
    groups = dict.fromkeys(e.group_id for e in dealt)
    return {group_id: place % folds for place, group_id in enumerate(groups)}


def train_net(
    episodes: Sequence[StepData],
    config: ValueConfig,
    names: tuple[str, ...],
    seed: int,
    *,
    name: str = "value net",
    training: Training | None = None,
    validation: Sequence[StepData] = (),
) -> ProgressNet:
    """One progress net on `episodes`, whose outcomes are known; `validation` as in `fit_value`."""
    training, generator = training or Training(), seeded(seed)
    kind = SuccessObjective if config.objective == "successes" else PublishedObjective
    objective: SuccessObjective | PublishedObjective = kind(episodes, config, names)
    net = progress_net(config, names)
    net.standardise.fit(objective.steps.proprio.numpy())
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps + 1, pct_start=0.1
    )

    def loss_of(kept: Sequence[StepData], own: torch.Generator) -> BatchLoss:
        return partial(kind(kept, config, names).loss, net, own)

    training.descend(
        name,
        net,
        partial(objective.loss, net, generator),
        optimiser,
        generator,
        steps=config.steps,
        schedule=schedule,
        clip=1.0,
        held_out=training.held_out([e for e in validation if e.success or kind is PublishedObjective], loss_of),
    )
    return net


def _train_and_infer(job: _Job) -> _Fold:
    """One fold in a worker process: train without it, then judge what it did not see."""
    k, episodes, fold_of, config, names, training, validation = job
    learned, name = [e for e in episodes if fold_of.get(e.group_id) not in (None, k)], f"value net {k}"
    net = train_net(learned, config, names, config.seed + k, name=name, training=training, validation=validation)
    judged = {e.episode_id: infer([net], config, names, e)[0][0] for e in episodes if fold_of[e.group_id] == k}
    return _Fold(k, net.state_dict(), judged, training.curves[name])


def fit_value(
    episodes: Sequence[StepData],
    config: ValueConfig,
    *,
    progress: Progress | None = None,
    training: Training | None = None,
) -> ValueModel:
    """Cross-fit the ensemble on the train and calibration episodes and calibrate it out of fold.

    The validation episodes say which weights are the best, where `training` asks for that. Raises `DataRefused` where
    outcomes are missing or too few.
    """
    training = training or Training()
    usable = [e for e in episodes if e.split in TRAINED_SPLITS and e.success is not None]
    check_outcomes(episodes, usable, config.folds)
    names = value_columns(usable[0].proprio_names)
    fold_of = assign_folds(usable, config.folds)
    validation = [e for e in episodes if e.split == "validation" and e.success is not None and training.config.validate]
    jobs = [_Job(k, usable, fold_of, config, names, training, validation) for k in range(config.folds)]
    nets: list[ProgressNet] = []
    out_of_fold: dict[str, Array] = {}
    for k, weights, judged, curve in _run(jobs, config.workers):
        net = progress_net(config, names).eval()
        net.load_state_dict(weights)
        nets.append(net)
        out_of_fold |= judged
        training.curves[f"value net {k}"] = curve
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
    _calibrate(model, usable, out_of_fold, training)
    return model


def without_pictures(episodes: Sequence[StepData], model: ValueModel) -> dict[str, Array] | None:
    """episode_id -> (T,) V of a model of the same folds that sees proprio alone, out of fold: what pictures must beat.

    None where the model sees no picture itself. A second of training a net.
    """
    if not model.config.cameras:
        return None
    config = replace(model.config, cameras=(), steps=REFERENCE_STEPS, workers=1)
    jobs = [_Job(k, episodes, model.fold_of, config, model.proprio_names, Training()) for k in range(config.folds)]
    runs = {e.episode_id: e.runs for e in episodes}
    judged = [fold.judged for fold in _run(jobs, config.workers)]
    return {name: causal_median(v, runs[name]) for part in judged for name, v in part.items()}


def _run(jobs: Sequence[_Job], workers: int) -> Iterable[_Fold]:
    """Fold by fold, each as soon as it is done; the folds are seeded, so the order of work changes nothing."""
    if workers <= 1:
        yield from map(_train_and_infer, jobs)
        return
    with Processes(workers) as processes:
        for future in processes.start(_train_and_infer, jobs):
            yield future.result()


def _calibrate(
    model: ValueModel, usable: Sequence[StepData], out_of_fold: Mapping[str, Array], training: Training
) -> None:
    """Stall heads fold by fold, then the dead band of W and the band of V, all out of fold."""
    oof = [causal_median(out_of_fold[e.episode_id], e.runs) for e in usable]
    labels = [hindsight_labels(e, v) for e, v in zip(usable, oof, strict=True)]
    features = [model.history(e, v) for e, v in zip(usable, oof, strict=True)]
    for k in range(len(model.nets)):
        seen = [i for i, e in enumerate(usable) if model.fold_of[e.group_id] != k]
        y = np.concatenate([labels[i] for i in seen])
        known = np.isfinite(y)
        x = np.concatenate([features[i] for i in seen])
        seed, name = model.config.seed + 100 + k, f"stall head {k}"
        model.heads[k] = fit_stall_head(x[known], y[known], seed=seed, name=name, training=training)
    stall = [
        stall_probability(model.heads[model.fold_of[e.group_id]], f, e.runs)
        for e, f in zip(usable, features, strict=True)
    ]
    clean = [i for i, e in enumerate(usable) if e.success and e.unaided]
    calm = np.concatenate([stall[i] for i in clean] or [np.ones(1)])
    model.dead_band = float(np.quantile(calm, 1 - model.config.alpha))
    residuals = np.concatenate([np.abs(oof[i] - progress_targets(len(oof[i]), True)) for i in clean] or [np.ones(1)])
    model.half_width = float(np.quantile(residuals, model.config.coverage))


def check_outcomes(episodes: Sequence[StepData], usable: Sequence[StepData], folds: int) -> None:
    """Refuse what no value can be learned from, and say where outcomes are given."""
    task = episodes[0].task if episodes else "this task"
    if not usable:
        raise DataRefused(
            f"no episode of {task} has a known outcome, so no value can be learned; give outcomes on the app's page "
            "Episodes (`regrasp app`) and freeze them with `regrasp audit freeze episodes NAME`"
        )
    successes = len({e.group_id for e in usable if e.success and e.weight > 0})
    if successes < 2 * folds:
        raise DataRefused(
            f"{task} has {successes} different successful training episodes, {2 * folds} are needed for {folds} folds; "
            "collect more or give outcomes on the app's page Episodes"
        )
    check_alike(usable)
