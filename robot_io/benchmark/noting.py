"""What a run notes of an episode of training, beside its recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from episodes.record import ActionSource, Outcome
from robot_io.benchmark.record import TrainingEpisode
from robot_io.protocols import EpisodeEnd, EpisodeSummary, RobotSpec, Step
from robot_io.recorder import SessionRecorder


class Noting:
    """A `Recorder` that notes why the person took over, and passes everything on."""

    def __init__(self, recorder: SessionRecorder) -> None:
        self._recorder = recorder
        self.reasons: list[str] = []

    def start(self, spec: RobotSpec, collected_by: Mapping[str, Any]) -> None:
        self._recorder.start(spec, collected_by)

    def step(self, step: Step) -> None:
        self._recorder.step(step)

    def event(self, t: int, kind: str, **detail: Any) -> None:
        if kind == "takeover":
            self.reasons.append(str(detail["reason"]))
        self._recorder.event(t, kind, **detail)

    def finish(self, end: EpisodeEnd) -> str:
        return self._recorder.finish(end)

    def discard(self) -> None:
        self._recorder.discard()


def noted(
    summary: EpisodeSummary, reasons: list[str], index: int, reset_seed: int, first_step: int, failure: str
) -> TrainingEpisode:
    """The row of an episode that began after `first_step` steps of training."""
    by = {source: summary.source_steps.get(source, 0) for source in ActionSource}
    return TrainingEpisode(
        index=index,
        reset_seed=reset_seed,
        first_step=first_step,
        steps=summary.steps,
        policy_steps=by[ActionSource.POLICY],
        human_steps=by[ActionSource.HUMAN],
        recovery_steps=by[ActionSource.RECOVERY],
        hold_steps=by[ActionSource.HOLD],
        success=summary.success is Outcome.SUCCESS,
        end_reason=summary.end_reason,
        failure_mode=failure,
        reasons=tuple(reasons),
        triggers=summary.triggers,
        recoveries=summary.recoveries,
        recoveries_better=summary.recoveries_better,
        fault=summary.fault,
        episode_id=summary.episode_id or "",
    )
