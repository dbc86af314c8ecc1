"""One episode as the models see it: arrays in memory, frames in its file, the outcome as decided.

A frame is read and decoded when a batch asks for it (about 40 us for a 64-pixel JPEG), so a data set costs no memory
for its pictures, neither here nor in the processes that train on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
from PIL import Image

from episodes.errors import DataRefused
from episodes.images import decode
from episodes.record import ActionSource, Array, Codec, Outcome
from episodes.store import EpisodeStore
from models.curve import Runs, control_runs

Progress = Callable[[str, int, int], None]
"""called with (what, done, total) during long work"""
TRAINED_SPLITS = ("train", "calibration")
"""what the cross-fitted models learn from; each episode is scored by nets that did not see it"""
PRIVILEGED_PREFIX = "priv/"
"""proprio columns of the state mode's object tracker; value and trigger never read them"""


class Frames(Protocol):
    """The compressed frames of one camera, in memory or in a file."""

    @property
    def codec(self) -> Codec:
        """How they are compressed."""

    def frame(self, t: int) -> bytes:
        """Those of step `t`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepData:
    """An episode for training and inference; `T` steps, `P` proprio values, `A` action values."""

    episode_id: str
    group_id: str
    task: str
    session: str
    split: str
    collection: str
    policy_id: str
    """the policy version that drove, empty where none did"""
    success: bool | None
    fps: float
    weight: float
    time_s: Array
    """(T,) s"""
    source: Array
    """(T,) uint8"""
    proprio: Array
    """(T, P) float32"""
    proprio_names: tuple[str, ...]
    ee_pose: Array
    """(T, 7)"""
    wrench: Array
    """(T, 6) N, Nm; zeros where there is no sensor"""
    executed_action: Array
    """(T, A)"""
    human_action: Array
    """(T, A), NaN where no human acted"""
    frames: Mapping[str, Frames]

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def runs(self) -> Runs:
        """The stretches of one actor without a pause: no window, difference or chunk crosses from one to the next."""
        return control_runs(self.source, self.time_s, length=len(self))

    @property
    def unaided(self) -> bool:
        """True where one actor drove all the way: no takeover, no recovery, no hold."""
        return bool((self.source == self.source[0]).all())

    @property
    def policy_alone(self) -> bool:
        """True where the policy drove every step: the runs a deployed trigger is exchangeable with."""
        return bool((self.source == ActionSource.POLICY).all())

    def images(self, steps: Sequence[int] | Array, cameras: Sequence[str], image_px: int) -> npt.NDArray[np.uint8]:
        """Decoded frames (n, C, image_px, image_px, 3) of `cameras` at `steps`."""
        missing = [name for name in cameras if name not in self.frames]
        if missing:
            raise DataRefused(
                f"episode {self.episode_id} has no camera {missing[0]} (it has {sorted(self.frames) or 'none'}); "
                "choose cameras it has, or none for the proprioceptive model"
            )
        stacked = [[self._frame(name, int(t), image_px) for name in cameras] for t in steps]
        return np.asarray(stacked, np.uint8).reshape(len(steps), len(cameras), image_px, image_px, 3)

    def _frame(self, camera: str, t: int, image_px: int) -> npt.NDArray[np.uint8]:
        packed = self.frames[camera]
        return resized(decode(packed.frame(t), packed.codec), image_px)


def resized(rgb: npt.NDArray[np.uint8], image_px: int) -> npt.NDArray[np.uint8]:
    """A frame at the network's size; unchanged where it has it already."""
    if rgb.shape[:2] == (image_px, image_px):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((image_px, image_px), Image.Resampling.BILINEAR), np.uint8)


def load_step_data(
    store: EpisodeStore,
    episode_id: str,
    *,
    success: bool | None,
    split: str,
    group_id: str = "",
    weight: float = 1.0,
) -> StepData:
    """Read one episode for the models; `DataRefused` where it lacks what they cannot do without."""
    episode = store.read(episode_id, images=False)
    needed = {
        "observation/proprio": episode.proprio,
        "observation/ee_pose": episode.ee_pose,
        "action/executed": episode.executed_action,
    }
    for key, array in needed.items():
        if array is None:
            raise DataRefused(f"episode {episode_id} has no {key}, which the compact models need; exclude it")
    for key, array in {**needed, "observation/wrench": episode.wrench}.items():
        if key != "action/executed" and array is not None and not np.isfinite(array).all():
            raise DataRefused(f"episode {episode_id} has NaN or infinite values in {key}; exclude it")
    if not episode.fps > 0:
        raise DataRefused(f"episode {episode_id} does not say its rate; import it again with --fps, or exclude it")
    assert episode.proprio is not None
    assert episode.ee_pose is not None
    assert episode.executed_action is not None
    steps, action_size = episode.executed_action.shape
    human = episode.human_action
    return StepData(
        episode_id=episode_id,
        group_id=group_id or episode_id,
        task=episode.task,
        session=episode.session,
        split=split,
        collection=episode.collection,
        policy_id=next((p for p in episode.policy_id or () if p), ""),
        success=success,
        fps=episode.fps,
        weight=weight,
        time_s=episode.time_s,
        source=episode.action_source,
        proprio=np.asarray(episode.proprio, np.float32),
        proprio_names=episode.proprio_names,
        ee_pose=episode.ee_pose,
        wrench=np.zeros((steps, 6), np.float32) if episode.wrench is None else episode.wrench,
        executed_action=episode.executed_action,
        human_action=np.full((steps, action_size), np.nan, np.float32) if human is None else human,
        frames=store.frame_tables(episode_id),
    )


def check_alike(episodes: Sequence[StepData]) -> None:
    """Refuse episodes of different robots: proprio columns, action size and rate must be those of the first one."""
    first = episodes[0]
    for episode in episodes:
        compared = {
            "proprio columns": (episode.proprio_names, first.proprio_names),
            "numbers of action values": (episode.executed_action.shape[1], first.executed_action.shape[1]),
            "steps a second": (episode.fps, first.fps),
        }
        for what, (has, others) in compared.items():
            if has != others:
                raise DataRefused(
                    f"episode {episode.episode_id} of {episode.task} has other {what} than episode {first.episode_id}; "
                    "exclude one of the two or split the task"
                )


def load_decided(store: EpisodeStore, decided: pl.DataFrame, split: pl.DataFrame) -> list[StepData]:
    """All usable episodes of a task: complete, not excluded, with the decided outcome and the fixed split."""
    rows = decided.join(split.select("episode_id", "group_id", "split"), on="episode_id", how="inner")
    usable = rows.filter(~pl.col("excluded") & pl.col("complete")).sort("episode_id")
    return [
        load_step_data(
            store,
            row["episode_id"],
            success=Outcome(row["success"]).as_bool(),
            split=row["split"],
            group_id=row["group_id"],
            weight=row["weight"],
        )
        for row in usable.iter_rows(named=True)
    ]
