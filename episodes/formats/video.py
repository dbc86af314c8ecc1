"""Frames out of a video, by index, as JPEG quality 95: the one named loss of importing.

A frame's index is `round(presentation time * fps)`; player seconds are never used to choose one.
"""

from __future__ import annotations

from pathlib import Path

from episodes.errors import EpisodeFormatError
from episodes.images import encode_jpeg
from episodes.record import EncodedFrames


def read_frames(path: Path, *, start_s: float, count: int, fps: float, episode: str, key: str) -> EncodedFrames:
    """Frames `[round(start_s * fps), ... + count)` of the video, encoded as JPEG.

    Raises `EpisodeFormatError` where the video is damaged or does not have every one of them.
    """
    import av

    try:
        with av.open(str(path)) as container:
            frames = _decode(container, round(start_s * fps), count, fps)
    except (av.FFmpegError, IndexError, ValueError) as error:
        what = f"the video cannot be decoded: {error}"
        raise EpisodeFormatError(
            what, file=path.name, episode=episode, key=key, remedy="copy the video again"
        ) from error
    if len(frames) < count:
        what = f"the video has {len(frames)} of {count} frames from second {start_s:g}"
        raise EpisodeFormatError(what, file=path.name, episode=episode, key=key, remedy="copy the video again, whole")
    height_px, width_px = frames[0][1:]
    return EncodedFrames.pack([data for data, _, _ in frames], "jpeg", height_px, width_px)


def _decode(container: object, first: int, count: int, fps: float) -> list[tuple[bytes, int, int]]:
    """(JPEG bytes, height, width) of the wanted frames, as many as follow each other without a hole."""
    stream = container.streams.video[0]  # type: ignore[attr-defined]
    container.seek(int(first / fps / stream.time_base), stream=stream, backward=True)  # type: ignore[attr-defined]
    frames: list[tuple[bytes, int, int]] = []
    for frame in container.decode(stream):  # type: ignore[attr-defined]
        index = round(float(frame.time) * fps) - first
        if 0 <= index < count and index == len(frames):
            frames.append((encode_jpeg(frame.to_ndarray(format="rgb24")), frame.height, frame.width))
        if index >= count - 1:
            break
    return frames
