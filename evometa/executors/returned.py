"""Reading what a problem's method returned, and describing what went wrong in words that fit in a line."""

import errno
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.errors import CandidateFailed
from evometa.problem import VECTORS, Evaluation, HostProblem

LONGEST_REASON, LONGEST_TRACEBACK = 400, 8000
"""Characters of a failure's description and of its traceback that are kept."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


def read_result(problem: HostProblem, method: str, result: Any) -> dict[str, Any]:
    """Return the outcome of a call as JSON: numbers, or a failure with the reason.

    Args:
        problem: the problem.
        method: the method that was called.
        result: what it returned.
    """
    evaluation = result if isinstance(result, Evaluation) else Evaluation(result)
    metrics, lengths = evaluation.metrics, problem.vector_lengths
    if not isinstance(metrics, Mapping):
        return _wrong(f"{method} expects to return metrics as a dict of numbers; they are {_given(metrics)}")
    undeclared = [str(name) for name in metrics if name not in problem.metric_names]
    if undeclared:
        return _wrong(
            f"{method} expects to return the metrics that {type(problem).__name__}.metric_names names; add "
            f"{', '.join(map(repr, undeclared))} to metric_names"
        )
    numbers = {"fitness": evaluation.fitness, **{f"metric {name}": value for name, value in metrics.items()}}
    read = {name: _number(value) for name, value in numbers.items()}
    for name, number in read.items():
        if number is None:
            return _wrong(
                f"{method} expects to return a number or an Evaluation of numbers; {name} is {_given(numbers[name])}"
            )
    vectors: dict[str, list[float]] = {}
    for name in VECTORS:
        value, length = getattr(evaluation, name), lengths.get(name, 0)
        if value is None and not length:
            continue
        vector = _array([] if value is None else value)
        if vector is None or vector.shape != (length,):
            return _wrong(
                f"{method} expects {length} {name}, as vector_lengths of the problem says, "
                f"and {name} is {_given(value)}"
            )
        if not np.isfinite(vector).all():
            return _failure(f"non-finite {name}: {vector.tolist()}", f"non-finite {name}")
        if length:
            vectors[name] = vector.tolist()
    fitness = read.pop("fitness")
    assert fitness is not None
    if not np.isfinite(fitness):
        return _failure(f"non-finite fitness: {fitness}", f"non-finite fitness: {fitness}")
    return {"fitness": fitness, "metrics": {str(name): read[f"metric {name}"] for name in metrics}, "vectors": vectors}


def raised(error: BaseException, file: str | None) -> dict[str, Any]:
    """Return the failure of a call that raised.

    Args:
        error: what it raised.
        file: the user's file, whose line the failure names.
    """
    if isinstance(error, CandidateFailed):
        return _failure(str(error), error.kind) | ({"error": _printable(error.details)} if error.details else {})
    frames = traceback.extract_tb(error.__traceback__)
    own = [i for i, frame in enumerate(frames) if frame.filename == file]
    where = f" ({os.path.basename(frames[own[-1]].filename)}, line {frames[own[-1]].lineno})" if own else ""
    try:
        message = " ".join(str(error).split())
    except BaseException:
        message = "(its message cannot be printed)"
    name = type(error).__name__
    failure = _failure(f"raised: {name}: {_cut(message)}{where}", f"raised: {name}{where}")
    for _ in range(own[0] if own else 0):  # show the user's own code and what it called
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException:
        text = "(the traceback cannot be printed)"
    if len(text) > LONGEST_TRACEBACK:
        text = f"{text[: LONGEST_TRACEBACK // 2]}\n[...]\n{text[-LONGEST_TRACEBACK // 2 :]}"
    exhausted = (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno in _EXHAUSTED)
        or (isinstance(error, RuntimeError) and "can't start new thread" in message)
    )
    return failure | {"error": _printable(text), "exhausted": exhausted}


def _wrong(text: str) -> dict[str, Any]:
    """Return the failure of a call that returned something of the wrong kind."""
    return _failure(text, text) | {"error": _printable(text)}


def _failure(text: str, kind: str) -> dict[str, Any]:
    return {"failure": _printable(_cut(text)), "kind": _printable(_cut(kind))}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} [...]"


def _printable(text: str) -> str:
    return text.encode("utf-8", errors="backslashreplace").decode()


def _array(value: Any) -> NDArray[np.float64] | None:
    """Return real numbers as an array, also those of JAX's own types such as bfloat16; None for anything else."""
    try:
        array = np.asarray(value)
        real = array.dtype.kind in "iuf" or jnp.issubdtype(array.dtype, jnp.floating)
        return array.astype(np.float64) if real else None
    except Exception:  # ragged lists, tensors that do not convert
        return None


def _number(value: Any) -> float | None:
    if type(value) is int:  # numpy makes objects of the large ones
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    array = _array(value)
    return float(array) if array is not None and array.shape == () else None


def _given(value: Any) -> str:
    shape = getattr(value, "shape", ())
    if isinstance(shape, tuple) and shape:
        return f"an array of shape {shape}"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return type(value).__name__


def file_of(problem: HostProblem) -> str | None:
    """Return the file that defines a problem's class."""
    return getattr(sys.modules[type(problem).__module__], "__file__", None)
