"""What an exported episode says of itself where its new format has no place for it, so that it can come back whole.

A JSON object beside the arrays: the attributes of the record, its names and units, its events. Other programs pass it
over. It is believed only while the episode still has as many steps as it says: who cut the episode made another one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Annotated, Any

import numpy as np
import pydantic

from episodes.record import CameraInfo, Collection, EndReason, Episode, Outcome, TimeDerivation
from episodes.slug import is_slug

KEY = "regrasp"


class Note(pydantic.BaseModel):
    """The object; each field but `steps` and `empty` is the one of `Episode` with that name."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    steps: pydantic.PositiveInt
    task: str
    instruction: str = ""
    robot: str = "unknown"
    recorded_at: str = ""
    fps: pydantic.FiniteFloat = 0.0
    time_derivation: TimeDerivation = "recorded"
    collection: Collection = "unknown"
    end_reason: EndReason = "unknown"
    success: Outcome = Outcome.UNKNOWN
    success_derivation: str = ""
    complete: bool = True
    terminal: bool = False
    source_time_defects: dict[str, int] = {}
    action_space: dict[str, Any] = {}
    cameras: dict[str, CameraInfo] = {}
    collected_by: dict[str, Any] = {}
    proprio_names: tuple[str, ...] = ()
    proprio_units: tuple[str, ...] = ()
    wrench_attrs: dict[str, str | bool] = {}
    events: tuple[dict[str, Any], ...] = ()
    empty: dict[str, Annotated[int, pydantic.Field(ge=1, le=4096)]] = {}
    """arrays (T, n) that are there and say nothing at any step, which a column of NaN cannot tell from absent: n"""

    @pydantic.field_validator("task")
    @classmethod
    def _slug(cls, task: str) -> str:
        if not is_slug(task):
            raise ValueError("is no slug")
        return task

    @pydantic.model_validator(mode="after")
    def _events_are_of_steps(self) -> Note:
        if not all(event.get("t") in range(self.steps) and isinstance(event.get("kind"), str) for event in self.events):
            raise ValueError("has an event of no step")
        return self


NOTED = tuple(name for name in Note.model_fields if name not in ("steps", "empty"))
_MAY_BE_EMPTY = ("policy_action", "human_action", "raw_action")


def note_of(episode: Episode) -> str:
    """The note of an episode as JSON."""
    said: dict[str, Any] = {name: getattr(episode, name) for name in NOTED}
    said |= {"success": episode.success.value, "cameras": {k: asdict(info) for k, info in episode.cameras.items()}}
    said |= {"events": [dict(event) for event in episode.events], "steps": len(episode)}
    arrays = {name: getattr(episode, name) for name in _MAY_BE_EMPTY}
    said |= {"empty": {k: a.shape[1] for k, a in arrays.items() if a is not None and np.isnan(a).all()}}
    plain = {name: dict(value) if hasattr(value, "keys") else value for name, value in said.items()}
    return json.dumps(plain, sort_keys=True)


def with_note(episode: Episode, text: str | None, *, decided: set[str]) -> tuple[Episode, str]:
    """The episode with what its note says laid over it, and a warning where the note is not believed.

    Without a note the episode is as it was. The fields that the person decided stay.
    """
    if not text:
        return episode, ""
    try:
        note = Note.model_validate_json(text)
    except pydantic.ValidationError:
        return episode, "the note of an earlier export is damaged and was passed over"
    if note.steps != len(episode):
        return episode, "the note of an earlier export is of another length and was passed over: the episode was cut"
    said = {name: getattr(note, name) for name in NOTED}
    said["cameras"] = {**episode.cameras, **{k: info for k, info in note.cameras.items() if k in episode.images}}
    for name in _MAY_BE_EMPTY:
        if name in note.empty and getattr(episode, name) is None:
            said[name] = np.full((len(episode), note.empty[name]), np.nan, np.float32)
    return replace(episode, **{name: value for name, value in said.items() if name not in decided}), ""
