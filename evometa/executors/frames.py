"""Frames: the messages between a search and its worker processes, a JSON header and arrays.

A frame is the sizes of header and body, the header as JSON, and the body, the bytes of each array. The header names
their types and shapes; that takes a tenth of the time of ``np.save`` and ``np.load``, which is that of a short call.
"""

import io
import json
import struct
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

SIZES = struct.Struct(">IQ")
"""The numbers of bytes of the header and of the body, at the front of every frame."""

Frame = tuple[dict[str, Any], list[NDArray[Any]]]


def pack(header: dict[str, Any], leaves: Iterable[Any] = ()) -> bytes:
    """Return the bytes of one frame of a JSON header and arrays."""
    arrays = [np.asarray(leaf) for leaf in leaves]
    if arrays:
        header = header | {"arrays": [(array.dtype.str, array.shape) for array in arrays]}
    text, body = json.dumps(header).encode(), b"".join([array.tobytes() for array in arrays])
    return SIZES.pack(len(text), len(body)) + text + body


def read(stream: BinaryIO) -> Frame | None:
    """Read one frame; return None at the end of the stream."""
    sizes = stream.read(SIZES.size)
    if len(sizes) < SIZES.size:
        return None
    header_size, body_size = SIZES.unpack(sizes)
    header, body = stream.read(header_size), stream.read(body_size)
    if len(header) + len(body) < header_size + body_size:
        return None
    values, arrays, place = json.loads(header), [], 0
    for dtype, shape in values.pop("arrays", ()):
        array = np.ndarray(shape, dtype, body, place).copy()  # aligned, and the user's code may write to it
        arrays.append(array)
        place += array.nbytes
    return values, arrays


def unpack(data: bytes) -> Frame:
    """Return header and arrays of one frame."""
    frame = read(io.BytesIO(data))
    assert frame is not None
    return frame


def take_header(received: bytearray) -> dict[str, Any] | None:
    """Remove the first frame (without arrays) from what was received; return its header, None before it is whole."""
    if len(received) < SIZES.size:
        return None
    size = SIZES.size + SIZES.unpack_from(received)[0]
    if len(received) < size:
        return None
    header: dict[str, Any] = json.loads(received[SIZES.size : size])
    del received[:size]
    return header
