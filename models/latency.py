"""How long one decision takes on this machine, beside the 100 ms of a 10 Hz loop: wall time of single calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter

import numpy as np

from models.dataset import StepData
from models.evaluation import Measured
from models.intervention import InterventionModel
from models.memory import RecoveryMemory
from models.monitoring import MonitorStream
from models.recall import SituationEncoder, recall
from models.recovery_heads import load_recovery_policy
from models.report_rows import Row
from models.trigger import Trigger
from models.value import ValueModel

SECTION, CALLS, WARM = "Latency", 60, 5
PAPER_WORDS = "no latency is published"


def latency_rows(parts: Mapping[str, Path], episode: StepData) -> list[Row]:
    """p50 and p95 of the monitor (V, intervention model, trigger), of retrieval and of a recovery chunk.

    `parts`: the directories `value trigger memory recovery` of a task. The first calls are not counted.
    """
    rows = []
    for name, call in _calls(parts, episode).items():
        spent = np.array([_seconds(call, t % len(episode)) for t in range(WARM + CALLS)][WARM:]) * 1e3
        for quantile in (0.5, 0.95):
            value = float(np.quantile(spent, quantile))
            figure = Measured(value=value, lo=float(spent.min()), hi=float(spent.max()), n=CALLS)
            told = f"{name}, p{round(100 * quantile)} (least to most)"
            rows.append(Row(section=SECTION, name=told, of="this machine, one thread", figure=figure, unit="ms",
                            comparable=PAPER_WORDS))  # fmt: skip
    return rows


def _seconds(call: Callable[[int], object], t: int) -> float:
    start = perf_counter()
    call(t)
    return perf_counter() - start


def _calls(parts: Mapping[str, Path], episode: StepData) -> dict[str, Callable[[int], object]]:
    value, intervention = ValueModel.load(parts["value"]), InterventionModel.load(parts["trigger"])
    stream = MonitorStream(value, intervention, Trigger.load(parts["trigger"]), episode.proprio_names)
    encoder = SituationEncoder.load(parts["memory"])
    memory = RecoveryMemory.load(parts["memory"], encoder.encoder_id)
    policy = load_recovery_policy(parts["recovery"])
    cameras, image_px = value.config.cameras, value.config.image_px
    frames = episode.images([0], cameras, image_px)[0] if cameras else None
    force_n = np.sqrt((np.asarray(episode.wrench, float)[:, :3] ** 2).sum(axis=1))
    goal = policy.situation(episode.proprio[-1])
    action = np.nan_to_num(episode.executed_action)

    def monitor(t: int) -> None:
        stream.update(episode.proprio[t], frames, episode.ee_pose[t, :3], float(force_n[t]), action[t])

    return {
        "one decision of the monitor": monitor,
        "one retrieval": lambda t: recall(memory, encoder, episode.proprio[t], 0.0, episode.task),
        "one recovery chunk": lambda t: policy.chunk(policy.situation(episode.proprio[t]), goal),
    }
