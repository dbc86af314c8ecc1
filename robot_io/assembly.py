"""From the records of a journal to an `Episode`. Pure: the same function serves `finish` and the start-up pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from episodes.record import Array, CameraInfo, EncodedFrames, Episode, Outcome
from robot_io.journal import JournalText, Record
from robot_io.protocols import RobotSpec

_CRASHED = {
    "end_reason": "crash",
    "success": Outcome.UNKNOWN,
    "success_derivation": "",
    "terminal": False,
    "complete": False,
}


def assemble(text: JournalText) -> Episode:
    """The episode in a journal that has at least one step; without an end record it is what a crash left."""
    spec, start = _start(text.records)
    steps = [record for record in text.records if record.kind == "step"]
    return Episode(
        session=start["session"],
        recorded_at=start["recorded_at"],
        collected_by=start["collected_by"],
        task=spec.task,
        instruction=spec.instruction,
        robot=spec.robot,
        fps=spec.fps,
        action_space=spec.action_space,
        proprio_names=tuple(spec.proprio_names),
        proprio_units=tuple(spec.proprio_units),
        wrench_attrs=spec.wrench_attrs,
        time_s=np.array([step.detail["time_s"] for step in steps]),
        action_source=np.array([step.detail["source"] for step in steps], np.uint8),
        ee_pose=_rows(steps, "ee_pose"),
        proprio=_rows(steps, "proprio"),
        wrench=_rows(steps, "wrench"),
        policy_action=_rows(steps, "policy_action"),
        human_action=_rows(steps, "human_action"),
        executed_action=_rows(steps, "executed_action"),
        raw_action=_rows(steps, "raw_action"),
        policy_id=_policy_ids(steps),
        images=_images(steps),
        robot_stream=_stream(steps),
        cameras={name: CameraInfo(height_px=h, width_px=w) for name, (h, w) in steps[0].detail["frames"].items()},
        events=_events(text, len(steps)),
        **_end(text.records, start),
    )


def is_discarded(text: JournalText) -> bool:
    """True where the episode was discarded before the journal could be removed."""
    return any(record.kind == "discard" for record in text.records)


def _start(records: Sequence[Record]) -> tuple[RobotSpec, Mapping[str, Any]]:
    detail = records[0].detail
    return RobotSpec(**detail["spec"]), detail


def _end(records: Sequence[Record], start: Mapping[str, Any]) -> dict[str, Any]:
    ends = [record.detail for record in records if record.kind == "end"]
    if not ends:
        return {**_CRASHED, "collection": start["collected_by"].get("collection", "unknown")}
    return {**ends[0], "success": Outcome(ends[0]["success"])}


def _rows(steps: Sequence[Record], name: str) -> Array | None:
    """(T, n), NaN where a step has none; None where no step has any."""
    given = next((step.arrays[name] for step in steps if name in step.arrays), None)
    if given is None:
        return None
    missing = np.full_like(given, np.nan)
    return np.stack([step.arrays.get(name, missing) for step in steps])


def _policy_ids(steps: Sequence[Record]) -> tuple[str, ...] | None:
    ids = tuple(step.detail["policy_id"] for step in steps)
    return ids if any(ids) else None


def _images(steps: Sequence[Record]) -> dict[str, EncodedFrames]:
    return {
        name: EncodedFrames.pack([step.arrays[f"image/{name}"].tobytes() for step in steps], "jpeg", h, w)
        for name, (h, w) in steps[0].detail["frames"].items()
    }


def _stream(steps: Sequence[Record]) -> dict[str, Array]:
    """What the robot said at its own rate, one step's rows after the other's."""
    names = [name for name in steps[0].arrays if name.startswith("robot/")]
    return {
        name.removeprefix("robot/"): np.concatenate([step.arrays[name] for step in steps if name in step.arrays])
        for name in names
    }


def _events(text: JournalText, length: int) -> tuple[Mapping[str, Any], ...]:
    """The events in order. What was seen after the last step belongs to the last step."""
    events = [dict(record.detail) for record in text.records if record.kind == "event"]
    if not any(record.kind == "end" for record in text.records):
        events.append({"t": length, "kind": "crash", "bytes_cut": text.bytes_cut})
    return tuple({**event, "t": min(event["t"], length - 1)} for event in events)
