"""The episode record: what one recording run of one task holds, in memory.

Only `time_s` and `action_source` are always there. Every other array is `None` where the source did not
give it, and is never filled in. Units: metres, radians, newtons, seconds; poses are `x y z qx qy qz qw`.
`T` is the number of steps, `A` the action size, `P` the number of proprioceptive values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from episodes.errors import DataRefused

SCHEMA_VERSION = 1

Array = npt.NDArray[Any]
Codec = Literal["jpeg", "png"]
Collection = Literal["demo", "rollout", "takeover", "unknown"]
EndReason = Literal["success", "failure", "timeout", "operator", "fault", "crash", "unknown"]
TimeDerivation = Literal["recorded", "declared rate", "assumed rate"]


class ActionSource(IntEnum):
    """Who acted at a step. The only integer coding of control in Regrasp."""

    POLICY = 0
    RECOVERY = 1
    HUMAN = 2
    HOLD = 3
    UNKNOWN = 255


class Outcome(str, Enum):
    """How an episode ended, as far as anyone knows. Unknown is a value, never a guess."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"

    def as_bool(self) -> bool | None:
        """True, False, or None where it is not known."""
        return {"success": True, "failure": False}.get(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraInfo:
    """One camera of an episode: frame size in pixels and calibration where the source has it."""

    height_px: int
    width_px: int
    intrinsics: tuple[float, ...] | None = None
    """fx fy cx cy, pixels"""
    extrinsics: tuple[float, ...] | None = None
    """camera in the robot's base frame, x y z qx qy qz qw"""


@dataclass(frozen=True, slots=True)
class EncodedFrames:
    """The compressed frames of one camera, packed: frame `t` is `data[offsets[t]:offsets[t + 1]]`."""

    data: Array
    """(N,) uint8, all frames one after the other"""
    offsets: Array
    """(T + 1,) int64"""
    codec: Codec
    height_px: int
    width_px: int

    @classmethod
    def pack(cls, frames: Sequence[bytes], codec: Codec, height_px: int, width_px: int) -> EncodedFrames:
        """Pack compressed frames as they are; nothing is re-encoded."""
        offsets = np.zeros(len(frames) + 1, np.int64)
        np.cumsum([len(frame) for frame in frames], out=offsets[1:])
        return cls(np.frombuffer(b"".join(frames), np.uint8), offsets, codec, height_px, width_px)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def frame(self, t: int) -> bytes:
        """The compressed bytes of frame `t`."""
        return self.data[self.offsets[t] : self.offsets[t + 1]].tobytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One recorded episode. `success` and all else is *as recorded*; later decisions live in the audit log."""

    task: str
    """slug"""
    instruction: str
    session: str
    """slug: one recording run of one task on one robot"""
    time_s: Array
    """(T,) float64, from the episode's start, strictly increasing"""
    action_source: Array
    """(T,) uint8, `ActionSource`"""

    robot: str = "unknown"
    recorded_at: str = ""
    """ISO 8601 with time zone, empty where the source does not say"""
    fps: float = 0.0
    """nominal steps per second"""
    time_derivation: TimeDerivation = "recorded"
    collection: Collection = "unknown"
    end_reason: EndReason = "unknown"
    success: Outcome = Outcome.UNKNOWN
    success_derivation: str = ""
    """how the outcome is known: operator key, predicate, classifier@hash, import rule"""
    complete: bool = True
    """False for what a crash left"""
    terminal: bool = False
    """a true termination, not a time-out or hand-over"""
    source_format: str = "regrasp"
    source_uri: str = ""
    source_sha256: str = ""
    source_time_defects: Mapping[str, int] = field(default_factory=dict)
    action_space: Mapping[str, Any] = field(default_factory=dict)
    """names, units, frame, limits"""
    cameras: Mapping[str, CameraInfo] = field(default_factory=dict)
    collected_by: Mapping[str, Any] = field(default_factory=dict)

    ee_pose: Array | None = None
    """(T, 7) float64"""
    proprio: Array | None = None
    """(T, P) float32, the source's state vector unchanged"""
    proprio_names: tuple[str, ...] = ()
    proprio_units: tuple[str, ...] = ()
    wrench: Array | None = None
    """(T, 6) float32, fx fy fz tx ty tz"""
    wrench_attrs: Mapping[str, Any] = field(default_factory=dict)
    """frame, sign_convention, tared"""
    images: Mapping[str, EncodedFrames] = field(default_factory=dict)
    depth: Mapping[str, EncodedFrames] = field(default_factory=dict)
    """16-bit png, millimetres"""
    policy_action: Array | None = None
    """(T, A) float32, NaN row where the policy gave none"""
    human_action: Array | None = None
    """(T, A) float32, NaN row where the human gave none"""
    executed_action: Array | None = None
    """(T, A) float32, what was sent after the guard"""
    raw_action: Array | None = None
    """(T, R) float32, the teleoperation device's own axes"""
    policy_id: tuple[str, ...] | None = None
    """(T,) which policy version acted; empty string where none did"""
    reward: Array | None = None
    """(T,) float32"""
    robot_stream: Mapping[str, Array] = field(default_factory=dict)
    """native-rate stream: t, q, qd, tcp, wrench, bits"""
    events: tuple[Mapping[str, Any], ...] = ()
    """each has `t` (step) and `kind`: takeover, hand_back, trigger, recovery, recovery_end, fault, note, reward,
    success, failure or crash"""

    def __post_init__(self) -> None:
        if len(self.time_s) == 0:
            raise DataRefused(f"an episode of task {self.task} has no steps; discard it or record again")

    def __len__(self) -> int:
        return len(self.time_s)
