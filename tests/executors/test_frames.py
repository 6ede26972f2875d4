"""The messages between a search and its workers."""

import io

import jax.numpy as jnp
import numpy as np

from evometa.executors.frames import pack, read


def test_arrays_arrive_as_they_were_sent_and_may_be_written_to() -> None:
    sent = [
        np.float32(0.5),
        np.arange(3, dtype=np.int8),  # what follows it is not aligned
        np.array([[np.nan, -0.0], [np.inf, 5e-324]]),
        np.arange(6).reshape(2, 3).T,
        np.zeros((0, 4)),
        np.array(["ä", "bc"]),
        np.array(True),
        np.array([1, 2], ">i4"),
    ]
    frame = read(io.BytesIO(pack({"trial": 3}, [*sent, jnp.bfloat16(1.5)])))
    assert frame is not None
    header, arrays = frame
    assert header == {"trial": 3}
    for one, other in zip(sent, arrays, strict=False):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
        assert other.flags.writeable
        assert other.flags.aligned
    assert arrays[-1].view(jnp.bfloat16) == 1.5


def test_an_end_within_a_frame_is_an_end() -> None:
    whole = pack({}, [np.zeros(3)])
    assert [read(io.BytesIO(whole[:size])) for size in (0, 5, 20, len(whole) - 1)] == [None] * 4
