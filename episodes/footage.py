"""What the frames of one camera are worth: sharpness, visual diversity, blank, black, repeated and damaged frames.

Sharpness and visual diversity are GreenVLA's (arXiv 2602.00919, DataQA). Only a sample of frames is decoded, one after
the other; repeated frames are found among all of them without decoding any. Grey levels are 0 to 255.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from episodes.errors import DataRefused
from episodes.images import decode
from episodes.record import Array, EncodedFrames
from episodes.validation import BLANK_SPREAD

SAMPLED = 24
"""frames of an episode and camera that are decoded"""
BLOCK_PX = 8
CENTRE_PX = 256
"""sharpness is judged in the middle of a larger frame: that is where the work is"""
GRID = 8
"""visual diversity is judged on 8 x 8 patches"""
BLIND = 0.5
"""share of blank and black frames from which a camera counts as blind; below, some of its frames are lost"""
BLACK_LEVEL = 8.0
"""mean grey level; a covered lens or a camera without power gives 0 to 5, a dim room above 20"""
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_LOST = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraQuality:
    """The figures of one camera; shares are of the sampled frames. NaN where no frame could be judged."""

    camera: str
    sampled: int
    sharpness: float
    """median over the frames"""
    visual_diversity: float
    """grey levels"""
    blank_share: float
    """one colour only"""
    black_share: float
    """nearly black, with some noise"""
    undecodable: int
    softest_step: int
    """where the least sharp frame is"""
    defect_step: int
    """the first frame that is blank, black or damaged; -1 for none"""

    @property
    def sees(self) -> bool:
        """Most of its frames show something."""
        return self.blank_share + self.black_share < BLIND


def sampled_steps(length: int, most: int = SAMPLED) -> Array:
    """At most `most` steps, spread over the whole episode with its first and last."""
    return np.unique(np.linspace(0, length - 1, min(length, most)).astype(int))


def examine_camera(camera: str, frames: EncodedFrames) -> CameraQuality:
    """Decode a sample of frames, one at a time, and judge each."""
    steps = sampled_steps(len(frames))
    judged = [_frame(frames, int(t)) for t in steps]
    seen = [frame for frame in judged if frame is not None]
    flawed = [int(t) for t, frame in zip(steps, judged, strict=True) if frame is None or frame.blank or frame.black]
    sharpness = np.array([_LOST if frame is None else frame.sharpness for frame in judged])
    return CameraQuality(
        camera=camera,
        sampled=len(steps),
        sharpness=float(np.median(sharpness[~np.isnan(sharpness)])) if seen else _LOST,
        visual_diversity=visual_diversity(np.stack([frame.patches for frame in seen])) if seen else _LOST,
        blank_share=sum(frame.blank for frame in seen) / len(steps),
        black_share=sum(frame.black for frame in seen) / len(steps),
        undecodable=len(judged) - len(seen),
        softest_step=int(steps[np.nanargmin(sharpness)]) if seen else 0,
        defect_step=flawed[0] if flawed else -1,
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    sharpness: float
    patches: Array
    blank: bool
    black: bool


def _frame(frames: EncodedFrames, t: int) -> _Frame | None:
    """One frame, judged; None where it cannot be decoded."""
    try:
        rgb = decode(frames.frame(t), frames.codec)
    except DataRefused:
        return None
    every = max(1, min(rgb.shape[:2]) // (GRID * BLOCK_PX))
    small = rgb[::every, ::every].astype(np.float32)
    grey = small @ _GREY
    blank = float(grey.std()) < BLANK_SPREAD
    return _Frame(sharpness(rgb), _patches(small), blank, not blank and float(grey.mean()) < BLACK_LEVEL)


def sharpness(rgb: Array) -> float:
    """median(MaxPool(std_block(∇²I))) of a uint8 (H, W, 3) frame, grey levels: blocks of 8 px, pooled 2 x 2."""
    grey = _centre(rgb).astype(np.float32) @ _GREY
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    rows, columns = (size // BLOCK_PX for size in laplacian.shape)
    if not rows or not columns:
        return float(laplacian.std()) if laplacian.size else 0.0
    laplacian = laplacian[: rows * BLOCK_PX, : columns * BLOCK_PX]
    mean, square = _block_means(laplacian, BLOCK_PX, BLOCK_PX), _block_means(laplacian**2, BLOCK_PX, BLOCK_PX)
    return float(np.median(_pooled(np.sqrt(np.maximum(square - mean**2, 0)))))


def _block_means(image: Array, height: int, width: int) -> Array:
    """Means over blocks of `height` x `width` that fill the image (H, W): rows first, since they lie together."""
    rows = image.reshape(len(image) // height, height, -1).sum(axis=1)
    means: Array = rows.reshape(len(rows), -1, width).sum(axis=2) / (height * width)
    return means


def _centre(rgb: Array) -> Array:
    top, left = (max(0, size - CENTRE_PX) // 2 for size in rgb.shape[:2])
    return rgb[top : top + CENTRE_PX, left : left + CENTRE_PX]


def _pooled(blocks: Array) -> Array:
    rows, columns = (size // 2 for size in blocks.shape)
    if not rows or not columns:
        return blocks
    pooled: Array = blocks[: rows * 2, : columns * 2].reshape(rows, 2, columns, 2).max(axis=(1, 3))
    return pooled


def _patches(small: Array) -> Array:
    """(3, GRID, GRID) mean colours; a frame smaller than the grid is its own patches."""
    rows, columns = (size // GRID for size in small.shape[:2])
    if not rows or not columns:
        return small
    channels = np.moveaxis(small[: rows * GRID, : columns * GRID], 2, 0)
    return np.stack([_block_means(channel, rows, columns) for channel in channels])


def visual_diversity(patches: Array) -> float:
    """D_vis = E_d[std_t(E_s[f])], frames (N, ...) of patch means: 0 where all frames are the same.

    The features f are pixels here, not DINOv3's: a channel d is one colour of one patch, s runs over its pixels.
    """
    return float(patches.std(axis=0).mean())


def repeats(frames: EncodedFrames) -> Array:
    """(T,) bool: the frame is, byte for byte, the one before it."""
    offsets, same = np.asarray(frames.offsets), np.zeros(len(frames), bool)
    sizes = np.diff(offsets)
    for t in np.flatnonzero(sizes[1:] == sizes[:-1]) + 1:  # few frames have just the size of the one before
        before, start, stop = offsets[t - 1], offsets[t], offsets[t + 1]
        same[t] = np.array_equal(frames.data[before:start], frames.data[start:stop])
    return same


@dataclass(frozen=True, slots=True)
class Standing:
    """Repeated frames of one camera while the arm moves."""

    share: float
    """of the steps in which it moves"""
    longest_s: float
    """time of movement under one frame"""
    step: int
    """where the longest stretch begins"""


def standing(frames: EncodedFrames, time_s: Array, moving: Array) -> Standing:
    """How often and how long the picture stands while the arm moves; `moving` (T,) is told of the way to each step."""
    same = repeats(frames)
    judged = int(moving[1:].sum())
    share = int((same & moving)[1:].sum()) / judged if judged else 0.0
    starts = np.flatnonzero(~same)  # a frame that is new, with all that repeat it
    stops = np.r_[starts[1:], len(same)] - 1
    moved_s = np.r_[0, np.cumsum(np.where(moving[1:], np.diff(time_s), 0.0))]
    stretches_s = moved_s[stops] - moved_s[starts]
    longest = int(np.argmax(stretches_s))
    return Standing(share, float(stretches_s[longest]), int(starts[longest]))
