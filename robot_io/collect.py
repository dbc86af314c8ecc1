"""Recording runs on a robot that a simulator judges: one call, one session.

The simulator's own knowledge (potential, stall, how it failed) goes beside the episodes, into
`derived/privileged/<session>/<episode_id>.parquet`, for scoring only; no model reads it. A call that was interrupted
can be made again: episodes whose seed the session already holds are not recorded twice. A run equal to one of another
session is that very episode, so it has one set of notes, whichever session made it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from episodes.record import Array, Collection, Outcome
from episodes.store import EpisodeStore
from episodes.workspace import Workspace, atomic_write
from robot_io.clock import Clock
from robot_io.control import RecoveryLimits
from robot_io.loop import run_episode
from robot_io.protocols import (
    EpisodeSummary,
    Live,
    Monitor,
    Observation,
    Policy,
    Recovery,
    Review,
    Robot,
    RobotSpec,
    Teleop,
)
from robot_io.recorder import SessionRecorder
from robot_io.safety import Guard
from robot_io.sim import Privileged


class JudgedRobot(Robot, Protocol):
    """A robot in a simulated world: in this process, or behind a controller."""

    @property
    def max_steps(self) -> int: ...
    @property
    def privileged(self) -> Privileged: ...


@dataclass(slots=True)
class WatchedRobot:
    """A robot whose privileged state is noted at every step, before the step is sent."""

    robot: JudgedRobot
    rows: list[tuple[float, bool, bool]] = field(default_factory=list)

    @property
    def spec(self) -> RobotSpec:
        return self.robot.spec

    def reset(self, seed: int) -> Observation:
        self.rows.clear()
        return self.robot.reset(seed)

    def observe(self) -> Observation:
        return self.robot.observe()

    def send(self, action: Array) -> Array:
        seen = self.robot.privileged
        self.rows.append((seen.phi, seen.stalled, seen.help_needed))
        return self.robot.send(action)

    def stop(self) -> None:
        self.robot.stop()


def privileged_frame(episode_id: str, rows: Sequence[tuple[float, bool, bool]], failure: str = "") -> pl.DataFrame:
    """Columns episode_id frame_index phi stalled help_needed failure; `failure` is the whole episode's mode."""
    frame = pl.DataFrame(rows, schema=["phi", "stalled", "help_needed"], orient="row").with_row_index("frame_index")
    return frame.select(
        pl.lit(episode_id).alias("episode_id"),
        pl.col("frame_index").cast(pl.Int64),
        pl.exclude("frame_index"),
        pl.lit(failure).alias("failure"),
    )


def read_privileged(workspace: Workspace) -> pl.DataFrame:
    """All privileged rows of a workspace, each episode once; empty where nothing was simulated.

    `failure` is null where the notes are from before it was noted.
    """
    files = {file.stem: file for file in sorted((workspace.derived / "privileged").glob("*/*.parquet"))}
    if not files:
        return pl.DataFrame()
    return pl.concat([pl.read_parquet(file) for file in files.values()], how="diagonal")


def read_failures(workspace: Workspace, session: str) -> dict[str, str]:
    """episode_id -> how it failed, by the simulator; empty for a success. Episodes without such a note are left out."""
    notes = (pl.read_parquet(file) for file in sorted((workspace.derived / "privileged" / session).glob("*.parquet")))
    return {file["episode_id"][0]: file["failure"][0] for file in notes if "failure" in file.columns and len(file)}


def failure_mode(robot: JudgedRobot, summary: EpisodeSummary) -> str:
    """What went wrong in the episode that just ended on `robot`; empty for a success."""
    if summary.success is Outcome.SUCCESS:
        return ""
    return "force" if summary.fault else robot.privileged.failure


def recorded_seeds(store: EpisodeStore, session: str) -> set[int]:
    """Seeds of the complete episodes a session already holds."""
    attributes = (store.attributes(episode_id) for episode_id in store.ids(session=session))
    return {int(a["collected_by"]["seed"]) for a in attributes if a["complete"] and "seed" in a["collected_by"]}


def collect_session(
    workspace: Workspace,
    session: str,
    robot: JudgedRobot,
    seeds: Sequence[int],
    *,
    collection: Collection,
    policy: Policy | None = None,
    teleop: Teleop | None = None,
    monitor: Monitor | None = None,
    recovery: Recovery | None = None,
    recovery_limits: RecoveryLimits | None = None,
    collected_by: Mapping[str, Any] | None = None,
    live: Live | None = None,
    on_episode: Callable[[EpisodeSummary], None] | None = None,
    attended: bool = True,
    clock: Clock | None = None,
    review: Review | None = None,
    guard: Guard | None = None,
) -> list[EpisodeSummary]:
    """Record one episode for each seed that the session lacks and return their summaries in order.

    After a safety stop an attended session is over: that episode is kept, its summary is the last and names the
    `fault`. Where nobody has to look after the cell it goes on with the next seed, unless no step was possible.
    """
    done = recorded_seeds(EpisodeStore(workspace.root), session)
    watched = WatchedRobot(robot)
    summaries = []
    with SessionRecorder(workspace.root, session, collected_by=collected_by) as recorder:
        for seed in [seed for seed in seeds if seed not in done]:
            summary = run_episode(
                watched,
                policy,
                recorder,
                max_steps=robot.max_steps,
                collection=collection,
                teleop=teleop,
                monitor=monitor,
                recovery=recovery,
                recovery_limits=recovery_limits,
                live=live,
                clock=clock,
                seed=seed,
                timeout_outcome=Outcome.FAILURE,
                review=review,
                guard=guard,
            )
            if summary.episode_id is not None:
                notes = privileged_frame(summary.episode_id, watched.rows, failure_mode(robot, summary))
                _note(workspace, session, summary.episode_id, notes)
            summaries.append(summary)
            if on_episode is not None:
                on_episode(summary)
            if summary.fault and (attended or summary.episode_id is None):
                break
    return summaries


def _note(workspace: Workspace, session: str, episode_id: str, notes: pl.DataFrame) -> None:
    """Write the notes of an episode whole or not at all; a killed run leaves an episode without notes."""
    buffer = io.BytesIO()
    notes.write_parquet(buffer)
    atomic_write(workspace.derived / "privileged" / session / f"{episode_id}.parquet", buffer.getvalue())
