"""Camera frames: encode a new one, decode a stored one, look at a foreign one.

Frames are uint8 (H, W, 3) RGB in memory and JPEG or PNG bytes on disk. Bytes that exist are never re-encoded.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import simplejpeg
from PIL import ExifTags, Image

from episodes.errors import DataRefused
from episodes.record import Array, Codec

MAX_PIXELS = 64_000_000
"""a header that claims more is a damaged or hostile file, not a camera"""


def encode_jpeg(rgb: Array, quality: int = 95) -> bytes:
    """JPEG bytes of a uint8 (H, W, 3) RGB frame, chroma not subsampled."""
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise DataRefused(f"a frame must be uint8 (H, W, 3) RGB and is {rgb.dtype} {rgb.shape}; convert it first")
    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=quality)
    return encoded


def encode_png(rgb: Array) -> bytes:
    """PNG bytes of a uint8 (H, W, 3) RGB frame: not a pixel is lost."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


def decode(data: bytes, codec: Codec) -> Array:
    """The uint8 (H, W, 3) RGB frame in `data`; `DataRefused` where it is cut off or damaged."""
    with _decoding(data, codec):
        if codec == "png":
            return _decode_png(data)
        _jpeg_size(data)
        frame: Array = simplejpeg.decode_jpeg(data, "RGB")
        return frame


def inspect(data: bytes) -> tuple[Codec, int, int]:
    """(codec, height_px, width_px) of a foreign frame, after decoding it once to know that it can be.

    Of a JPEG every bit is read and an eighth of the size is drawn: damage shows in its bits, not in the drawing.
    Raises `DataRefused` for what is neither JPEG nor PNG, is damaged, is CMYK, claims an absurd size or is to be
    turned: some programs turn it when they show it and others do not.
    """
    codec = codec_of(data)
    with _decoding(data, codec):
        if codec == "png":
            height_px, width_px, _ = _decode_png(data).shape
        else:
            height_px, width_px = _jpeg_size(data)
            simplejpeg.decode_jpeg(data, "RGB", min_height=1, min_width=1)
        turned = _is_turned(data)
    if turned:
        raise DataRefused("its EXIF says that it is to be turned; turn its pixels (`jpegtran -rotate`, `exiftran -ai`)")
    return codec, height_px, width_px


def codec_of(data: bytes) -> Codec:
    """The codec by the first bytes; `DataRefused` for anything but JPEG and PNG."""
    if data.startswith(b"\xff\xd8"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    raise DataRefused(f"a frame of {len(data)} bytes is neither JPEG nor PNG; convert the frames first")


@contextmanager
def _decoding(data: bytes, codec: Codec) -> Iterator[None]:
    """The decoders' ways of failing turned into one sentence."""
    try:
        yield
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataRefused(f"a {codec} frame of {len(data)} bytes cannot be decoded ({error}); copy it again") from error


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Height and width; what cannot be a camera's frame is refused."""
    height_px, width_px, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    if colorspace in ("CMYK", "YCCK"):
        raise DataRefused("it is CMYK, which no robot camera writes; write the frames as RGB")
    _check_size(height_px, width_px)
    return height_px, width_px


def _decode_png(data: bytes) -> Array:
    _check_size(int.from_bytes(data[20:24]), int.from_bytes(data[16:20]))
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        return np.array(image.convert("RGB"))  # a copy: as writable as a decoded JPEG


def _is_turned(data: bytes) -> bool:
    """True for a frame that is to be shown turned or mirrored."""
    if b"Exif\0\0" not in data and b"eXIf" not in data:
        return False  # comments of any length may stand before it
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
        return bool(image.getexif().get(ExifTags.Base.Orientation, 1) != 1)


def _check_size(height_px: int, width_px: int) -> None:
    if height_px * width_px > MAX_PIXELS:
        raise ValueError(f"it claims {width_px} x {height_px} pixels")
