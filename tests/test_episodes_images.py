"""Frames: encode, decode, and refuse what is no camera picture."""

from __future__ import annotations

import io
from zlib import crc32

import numpy as np
import pytest
from episode_samples import sample_frame
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from episodes.errors import DataRefused
from episodes.images import decode, encode_jpeg, inspect


def as_bytes(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def claiming(side_px: int) -> bytes:
    """A small PNG whose header claims a square this large."""
    data = as_bytes(Image.new("L", (5, 7)), "PNG")
    header = b"IHDR" + side_px.to_bytes(4) * 2 + data[24:29]
    return data[:12] + header + crc32(header).to_bytes(4) + data[33:]


def chunked(png: bytes) -> bytes:
    """The PNG with the right checksum of its second chunk."""
    start, size = 37, int.from_bytes(png[33:37])
    return png[: start + 4 + size] + crc32(png[start : start + 4 + size]).to_bytes(4) + png[start + 8 + size :]


def turned(kind: str, orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6)).save(buffer, kind, exif=exif)
    return buffer.getvalue()


def test_jpeg_is_close_and_png_is_exact() -> None:
    frame = sample_frame(3)
    assert np.abs(decode(encode_jpeg(frame), "jpeg").astype(int) - frame).mean() < 8
    exact = decode(as_bytes(Image.fromarray(frame), "PNG"), "png")
    np.testing.assert_array_equal(exact, frame)
    assert exact.flags.writeable


def test_jpeg_keeps_channel_order() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    assert decode(encode_jpeg(red), "jpeg")[8, 8].tolist() == pytest.approx([254, 0, 0], abs=3)


def test_inspect_tells_codec_and_size() -> None:
    assert inspect(encode_jpeg(sample_frame(0))) == ("jpeg", 16, 24)
    assert inspect(as_bytes(Image.new("L", (5, 7)), "PNG")) == ("png", 7, 5)
    assert inspect(as_bytes(Image.new("L", (5, 7)), "JPEG")) == ("jpeg", 7, 5)
    assert inspect(turned("JPEG", orientation=1)) == ("jpeg", 6, 8)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "neither JPEG nor PNG"),
        (b"GIF89a", "neither JPEG nor PNG"),
        (encode_jpeg(sample_frame(0))[:-40], "cannot be decoded"),
        (encode_jpeg(sample_frame(0))[:4], "cannot be decoded"),
        (as_bytes(Image.fromarray(sample_frame(0)), "PNG")[:-40], "cannot be decoded"),
        (as_bytes(Image.new("CMYK", (8, 8)), "JPEG"), "CMYK"),
        (as_bytes(Image.new("1", (20000, 4000)), "PNG"), "20000 x 4000"),
        (claiming(100_000), "100000 x 100000"),
        (claiming(10_000), "10000 x 10000"),
        (turned("JPEG"), "is to be turned"),
        (turned("PNG"), "is to be turned"),
        (chunked(turned("PNG").replace(b"MM\0*", b"MM\0?")), "cannot be decoded"),
    ],
)
def test_what_is_no_camera_frame_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(DataRefused, match=says):
        inspect(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_turned_frame_is_found_behind_a_long_comment(kind: str) -> None:
    data, comment = turned(kind), bytes(5000)
    if kind == "JPEG":
        data = data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + data[2:]
    else:
        text = b"tEXtComment\0" + comment.replace(b"\0", b" ")
        data = data[:33] + (len(text) - 4).to_bytes(4) + text + crc32(text).to_bytes(4) + data[33:]
    with pytest.raises(DataRefused, match="is to be turned"):
        inspect(data)


SPOILED = encode_jpeg(np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8))


@given(
    cut=st.integers(0, 40),
    flips=st.lists(st.tuples(st.integers(0, len(SPOILED) - 1), st.integers(0, 255)), max_size=4),
)
@settings(max_examples=200)
def test_what_is_looked_at_can_be_decoded_and_nothing_else(cut: int, flips: list[tuple[int, int]]) -> None:
    """A look at an eighth of the picture finds what decoding all of it finds."""
    data = bytearray(SPOILED[: len(SPOILED) - cut])
    for place, value in flips:
        data[place % len(data)] = value
    said = []
    for look in (lambda: inspect(bytes(data))[1:], lambda: decode(bytes(data), "jpeg").shape[:2]):
        try:
            said.append(look())
        except DataRefused:
            said.append(None)
    assert said[0] == said[1] or not data.startswith(b"\xff\xd8")


def test_only_rgb_bytes_are_encoded() -> None:
    for frame in (np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(DataRefused, match="uint8"):
            encode_jpeg(frame)
