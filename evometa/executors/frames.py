"""Frames: the messages between a search and its worker processes, a JSON header and arrays.

A frame is the sizes of header and body, the header as JSON, and the body, one ``np.save`` buffer for each array.
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
    body = io.BytesIO()
    for leaf in leaves:
        np.save(body, np.asarray(leaf), allow_pickle=False)
    text = json.dumps(header).encode()
    return SIZES.pack(len(text), body.tell()) + text + body.getvalue()


def read(stream: BinaryIO) -> Frame | None:
    """Read one frame; return None at the end of the stream."""
    sizes = stream.read(SIZES.size)
    if len(sizes) < SIZES.size:
        return None
    header_size, body_size = SIZES.unpack(sizes)
    header, body = stream.read(header_size), stream.read(body_size)
    if len(header) + len(body) < header_size + body_size:
        return None
    buffers, leaves = io.BytesIO(body), []
    while buffers.tell() < body_size:
        leaves.append(np.load(buffers, allow_pickle=False))
    return json.loads(header), leaves


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
