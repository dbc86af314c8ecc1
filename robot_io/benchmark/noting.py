"""What a run notes of an episode of training, beside its recording: why the person took over, and what came before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from episodes.record import ActionSource, Outcome
from robot_io.benchmark.record import TrainingEpisode
from robot_io.protocols import EpisodeEnd, EpisodeSummary, RobotSpec, Step
from robot_io.recorder import SessionRecorder
from robot_io.sim.stall import HELP_STEPS

SINCE = 2 * HELP_STEPS
"""steps for which a trigger or a recovery counts as about the same trouble: the person's window, and as long again"""


class Takeovers:
    """The takeovers among an episode's events, in their order."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.before: list[str] = []
        self._triggered = self._recovered = -SINCE
        self._faulty = ""

    def event(self, t: int, kind: str, detail: Mapping[str, Any]) -> None:
        """Take the next event."""
        match kind:
            case "trigger":
                self._triggered = t
            case "recovery_end" if detail["to"] != "human":
                self._recovered = t
            case "fault":
                self._faulty = str(detail.get("source", ""))
            case "takeover":
                self.reasons.append(str(detail["reason"]))
                self.before.append(self._before(t, str(detail["source"])))
                self._triggered = self._recovered = -SINCE

    def _before(self, t: int, source: str) -> str:
        """A hold is the fault of who drove before it."""
        if (self._faulty if source == "hold" else source) == "recovery":
            return "in recovery"
        if t - self._recovered < SINCE:
            return "after recovery"
        return "unanswered" if t - self._triggered < SINCE else "unnoticed"


class Noting:
    """A `Recorder` that notes the takeovers, and passes everything on."""

    def __init__(self, recorder: SessionRecorder) -> None:
        self._recorder = recorder
        self.takeovers = Takeovers()

    def start(self, spec: RobotSpec, collected_by: Mapping[str, Any]) -> None:
        self._recorder.start(spec, collected_by)

    def step(self, step: Step) -> None:
        self._recorder.step(step)

    def event(self, t: int, kind: str, **detail: Any) -> None:
        self.takeovers.event(t, kind, detail)
        self._recorder.event(t, kind, **detail)

    def finish(self, end: EpisodeEnd) -> str:
        return self._recorder.finish(end)

    def discard(self) -> None:
        self._recorder.discard()


def noted(
    summary: EpisodeSummary, takeovers: Takeovers, index: int, reset_seed: int, first_step: int, failure: str
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
        reasons=tuple(takeovers.reasons),
        before=tuple(takeovers.before),
        triggers=summary.triggers,
        recoveries=summary.recoveries,
        recoveries_better=summary.recoveries_better,
        fault=summary.fault,
        episode_id=summary.episode_id or "",
    )
