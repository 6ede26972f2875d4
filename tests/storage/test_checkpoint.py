"""A checkpoint is either complete or absent, and restores every bit of a state."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import RunDirectoryError
from evometa.storage import checkpoint
from evometa.storage.checkpoint import Checkpoint


class Inner(NamedTuple):
    weights: Any
    count: Any


class State(NamedTuple):
    strategy: Any
    flag: Any
    nothing: Any
    extra: Any


def state(value: float = 1.0) -> State:
    return State(
        strategy=Inner({"w": jnp.full((2, 3), value), "half": jnp.full(3, value, jnp.bfloat16)}, jnp.int32(value)),
        flag=jnp.asarray(True),
        nothing=jnp.zeros((0, 4)),
        extra=(jnp.asarray([jnp.nan, -0.0, jnp.inf]), (), jnp.uint32(2**32 - 1)),
    )


def save(folder: Path, generation: int, *, keep: int = 3, value: float | None = None) -> None:
    progress = {"generation": generation, "seconds": 0.5, "center": float("nan"), "chunk": None}
    checkpoint.save(folder, Checkpoint(state(float(generation) if value is None else value), progress), keep=keep)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / checkpoint.CHECKPOINTS).iterdir())


def assert_equal(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (one.dtype, one.shape, np.asarray(one).tobytes()) == (
            other.dtype, other.shape, np.asarray(other).tobytes(),
        )  # fmt: skip


def test_every_kind_of_array_comes_back_to_the_bit(tmp_path: Path) -> None:
    save(tmp_path, 7)
    found = checkpoint.load(tmp_path, state())
    assert found is not None
    assert_equal(found.state, state(7.0))
    assert found.progress["generation"] == 7
    assert np.isnan(found.progress["center"])
    assert checkpoint.progress(tmp_path) == pytest.approx(found.progress, nan_ok=True)


@pytest.mark.parametrize("empty", [(), {"none": jnp.zeros((0,))}])
def test_a_state_without_a_single_number(tmp_path: Path, empty: Any) -> None:
    checkpoint.save(tmp_path, Checkpoint(empty, {"generation": 1}), keep=1)
    found = checkpoint.load(tmp_path, empty)
    assert found is not None
    assert_equal(found.state, empty)


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path, state()) is None
    assert checkpoint.progress(tmp_path) is None


def test_the_newest_few_are_kept(tmp_path: Path) -> None:
    for generation in (2, 9, 10, 100):
        save(tmp_path, generation, keep=3)
    assert [int(name) for name in names(tmp_path)] == [9, 10, 100]
    save(tmp_path, 101, keep=1)
    assert [int(name) for name in names(tmp_path)] == [101]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink], ids=["cut", "flipped", "missing"])
def test_damage_to_any_file_is_noticed_and_the_one_before_is_used(tmp_path: Path, damage: Callable[..., Any]) -> None:
    original = tmp_path / "original"
    original.mkdir()
    save(original, 5)
    save(original, 6)
    newest = original / checkpoint.CHECKPOINTS / names(original)[-1]
    touched = 0
    for file in files(newest):
        if not file.stat().st_size:
            continue
        copy = tmp_path / f"copy{touched}"
        shutil.copytree(original, copy)
        damage(copy / file.relative_to(original))
        with pytest.warns(UserWarning, match=r"checkpoint of generation 6 in .* is damaged .*; falling back"):
            found = checkpoint.load(copy, state())
        assert found is not None
        assert_equal(found.state, state(5.0))
        touched += 1
    assert touched >= 4


def test_an_empty_folder_is_no_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 5)
    (tmp_path / checkpoint.CHECKPOINTS / "000000000009").mkdir()
    with pytest.warns(UserWarning, match="generation 9"):
        found = checkpoint.load(tmp_path, state())
    assert found is not None
    assert found.progress["generation"] == 5


def test_when_all_are_damaged_nothing_is_made_up(tmp_path: Path) -> None:
    for generation in (1, 2):
        save(tmp_path, generation)
    for folder in (tmp_path / checkpoint.CHECKPOINTS).iterdir():
        cut(folder / "index.json")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(RunDirectoryError, match=r"Every checkpoint in .* is damaged \(generations \[2, 1\]\); restore"),
    ):
        checkpoint.load(tmp_path, state())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda s: s._replace(strategy=Inner(s.strategy.weights | {"w": jnp.zeros((2, 4))}, s.strategy.count)),
            r"expected .strategy.weights\['w'\] of shape \(2, 4\) and type float32, found .* of shape \(2, 3\)",
        ),
        (
            lambda s: s._replace(flag=jnp.int32(1)),
            "expected .flag of shape .* and type int32, found .flag .* type bool",
        ),
        (lambda s: s._replace(nothing=jnp.zeros((0, 5))), r".nothing of shape \(0, 5\)"),
        (lambda s: s._replace(extra=s.extra[:1]), "expected no further array, found .extra"),
        (lambda s: s._replace(extra=(*s.extra, s.flag)), "expected .extra.* found no further array"),
    ],
)
def test_another_state_is_refused_with_the_path_that_differs(
    tmp_path: Path, change: Callable[[Any], Any], words: str
) -> None:
    save(tmp_path, 3)
    with pytest.raises(RunDirectoryError, match=words):
        checkpoint.load(tmp_path, change(state()))


def test_a_damaged_checkpoint_of_the_same_generation_is_replaced(tmp_path: Path) -> None:
    save(tmp_path, 3, value=1.0)
    cut(tmp_path / checkpoint.CHECKPOINTS / names(tmp_path)[0] / "index.json")
    save(tmp_path, 3, value=2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = checkpoint.load(tmp_path, state())
    assert found is not None
    assert_equal(found.state, state(2.0))


def test_what_a_killed_process_was_writing_is_ignored_and_swept(tmp_path: Path) -> None:
    save(tmp_path, 3)
    folder = tmp_path / checkpoint.CHECKPOINTS
    shutil.copytree(folder / names(tmp_path)[0], folder / ".writing-000000000004")
    found = checkpoint.load(tmp_path, state())
    assert found is not None
    assert found.progress["generation"] == 3
    save(tmp_path, 5)
    assert [int(name) for name in names(tmp_path)] == [3, 5]
