"""Out to Rerun: `<episode_id>.rrd`, one recording an episode, to look at in its viewer (`rerun DIRECTORY/*.rrd`).

Two timelines: `step`, and `time` in seconds from the episode's start. Frames go out byte for byte. Entities:
`camera/<name>`, `depth/<name>`, `action/{executed,policy,human,raw}`, `proprio`, `wrench`, `reward`, `ee_pose` (a
transform), `curve/{value,risk,trigger}`, `actor` (text where it changes), `events` and `episode` (what is known of it).
Needs the extra `viewer`; there is no way back from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import MissingExtra
from episodes.formats import losses, note
from episodes.formats.exporting import EachByItself, Leaving
from episodes.record import ActionSource, Array, EncodedFrames, Episode

APPLICATION = "regrasp"
DEPTH_PER_METRE = 1000.0
ENTITIES = {
    "action/executed": "executed_action",
    "action/policy": "policy_action",
    "action/human": "human_action",
    "action/raw": "raw_action",
    "proprio": "proprio",
    "wrench": "wrench",
    "reward": "reward",
}
"""entity -> field of the episode"""


class RerunWriter(EachByItself):
    """One recording an episode."""

    def __init__(self, root: Path) -> None:
        self._rerun = _rerun()
        super().__init__(root)

    def add(self, leaving: Leaving, episode: Episode) -> None:
        """Write one episode."""
        stream = self._rerun.RecordingStream(APPLICATION, recording_id=leaving.episode_id, send_properties=False)
        stream.save(self._root / f"{leaving.episode_id}.rrd")
        try:
            _Recording(self._rerun, stream, episode).write(leaving)
            stream.flush()
        finally:
            stream.disconnect()

    def lost(self, leaving: Leaving, episode: Episode) -> Iterator[losses.Loss]:
        """All else is drawn or written out."""
        return losses.of_arrays(episode, lost=("policy_id", "robot_stream"))


def _rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise MissingExtra(
            "Rerun recordings need the package rerun-sdk; run `pip install 'regrasp[viewer]'`"
        ) from error
    return rerun


class _Recording:
    """One episode on its way into a stream."""

    def __init__(self, rerun: Any, stream: Any, episode: Episode) -> None:
        self._rerun, self._stream, self._episode = rerun, stream, episode

    def write(self, leaving: Leaving) -> None:
        episode = self._episode
        self._stream.log("episode", self._rerun.TextDocument(_told(episode), media_type="text/markdown"), static=True)
        for name, frames in episode.images.items():
            self._frames(f"camera/{name}", frames, self._rerun.EncodedImage)
        for name, frames in episode.depth.items():
            self._frames(f"depth/{name}", frames, self._rerun.EncodedDepthImage, meter=DEPTH_PER_METRE)
        for entity, field in ENTITIES.items():
            if (values := getattr(episode, field)) is not None:
                self._numbers(entity, values, _names(episode, field))
        for name, values in leaving.curves().items():
            self._numbers(f"curve/{name}", values, (name,))
        if episode.ee_pose is not None:
            position, rotation = np.split(episode.ee_pose, [3], axis=1)
            self._send("ee_pose", self._rerun.Transform3D.columns(translation=position, quaternion=rotation))
        changes = [0, *(np.flatnonzero(np.diff(episode.action_source)) + 1).tolist()]
        self._texts("actor", changes, [ActionSource(episode.action_source[t]).name.lower() for t in changes])
        texts = [json.dumps(dict(event)) for event in episode.events]
        self._texts("events", [event["t"] for event in episode.events], texts)

    def _frames(self, entity: str, frames: EncodedFrames, kind: Any, **constant: float) -> None:
        steps = range(len(frames))
        blobs, types = [frames.frame(t) for t in steps], [f"image/{frames.codec}"] * len(frames)
        repeated = {key: [value] * len(frames) for key, value in constant.items()}
        self._send(entity, kind.columns(blob=blobs, media_type=types, **repeated))

    def _numbers(self, entity: str, values: Array, names: Sequence[str]) -> None:
        rows = np.asarray(values, np.float64).reshape(len(self._episode), -1)
        if len(names) == rows.shape[1]:
            self._stream.log(entity, self._rerun.SeriesLines(names=list(names)), static=True)
        columns = self._rerun.Scalars.columns(scalars=rows.reshape(-1))
        self._send(entity, columns.partition([rows.shape[1]] * len(rows)))

    def _texts(self, entity: str, steps: Sequence[int], texts: Sequence[str]) -> None:
        if texts:
            self._send(entity, self._rerun.TextLog.columns(text=texts), np.asarray(steps, np.int64))

    def _send(self, entity: str, columns: Any, steps: Array | None = None) -> None:
        steps = np.arange(len(self._episode)) if steps is None else steps
        time = self._rerun.TimeColumn("time", duration=np.asarray(self._episode.time_s, np.float64)[steps])
        self._stream.send_columns(entity, [self._rerun.TimeColumn("step", sequence=steps), time], columns)


def _names(episode: Episode, field: str) -> Sequence[str]:
    """What the numbers of a field are called, where it is known."""
    if field == "wrench":
        return ("fx", "fy", "fz", "tx", "ty", "tz")
    if field.endswith("_action") and field != "raw_action":
        names: Sequence[str] = [str(name) for name in episode.action_space.get("names", ())]
        return names
    return {"proprio": episode.proprio_names, "reward": ("reward",)}.get(field, ())


def _told(episode: Episode) -> str:
    """What the note says, as a list."""
    said = {key: value for key, value in json.loads(note.note_of(episode)).items() if value not in ("", [], {}, ())}
    return "\n".join(f"- **{key}** {value}" for key, value in said.items() if key != "events")
