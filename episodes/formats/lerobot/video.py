"""Frames out of a video, by index, as JPEG quality 95: the one named loss of importing.

A frame's index is `round(presentation time * fps)`; player seconds are never used to choose one. Containers of cameras
are opened and no others: a playlist would have FFmpeg open whatever file it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from episodes.errors import EpisodeFormatError
from episodes.images import MAX_PIXELS, encode_jpeg
from episodes.record import EncodedFrames

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

_CONTAINERS = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"}


def read_frames(
    path: Path, *, start_s: float, count: int, fps: float, alone: bool, episode: str, key: str
) -> EncodedFrames:
    """Frames `[round(start_s * fps), ... + count)` of the video, encoded as JPEG.

    Raises `EpisodeFormatError` where the video is damaged, does not have every one of them, or, `alone` in its file,
    has more: those may be of a discarded take and stand before it, so that no step has a known frame.
    """
    import av

    try:
        with av.open(str(path), options=_CONTAINERS) as container:
            frames, size = _encoded(container, round(start_s * fps), count, fps, alone)
    except (av.FFmpegError, IndexError, ValueError, OverflowError) as error:
        what = f"the video cannot be decoded: {getattr(error, 'strerror', None) or error}"
        raise EpisodeFormatError(
            what, file=path.name, episode=episode, key=key, remedy="copy the video again"
        ) from error
    if len(frames) != count:
        found = len(frames) if len(frames) < count else "more"
        what = f"the video has {found} of {count} frames from second {start_s:g}"
        remedy = "copy the video again, whole, or import without this episode"
        raise EpisodeFormatError(what, file=path.name, episode=episode, key=key, remedy=remedy)
    return EncodedFrames.pack(frames, "jpeg", *size)


def _encoded(
    container: InputContainer, first: int, count: int, fps: float, alone: bool
) -> tuple[list[bytes], tuple[int, int]]:
    """JPEG bytes of the wanted frames, as many as follow each other without a hole, and their (height, width).

    `alone`: and of one more, where there is one.
    """
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise ValueError("its codec is not known")
    if stream.width * stream.height > MAX_PIXELS:
        raise ValueError(f"it claims {stream.width} x {stream.height} pixels")
    size = stream.height, stream.width
    if stream.time_base:
        container.seek(int(first / fps / stream.time_base), stream=stream, backward=True)
    frames: list[bytes] = []
    for frame in _from(first, container.decode(stream), fps):
        if (frame.height, frame.width) != size:
            raise ValueError(f"frame {len(frames)} is of another size")
        frames.append(encode_jpeg(frame.to_ndarray(format="rgb24")))
        if len(frames) == count + alone:
            break
    return frames, size


def _from(first: int, frames: Iterator[VideoFrame], fps: float) -> Iterator[VideoFrame]:
    """The frames with the numbers `first`, `first + 1`, ... up to the first hole."""
    wanted = first
    for frame in frames:
        if frame.time is None:
            raise ValueError("a frame has no time")
        index = round(frame.time * fps)
        if index > wanted:
            return
        if index == wanted:
            wanted += 1
            yield frame
