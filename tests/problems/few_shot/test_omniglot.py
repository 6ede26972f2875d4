"""Files with the layout of Omniglot are read exactly, and errors say what is wrong with a file."""

import dataclasses
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from evometa import Search
from evometa.errors import ConfigurationError
from evometa.problems import OmniglotPrototypes
from evometa.problems.few_shot import character_tasks
from evometa.problems.few_shot.characters import RADIUS, SIZE, Characters
from evometa.problems.few_shot.omniglot import HELD_OUT, TRAINING, find, normalised, omniglot
from evometa.strategies import Gradient

DRAWERS = 4


def drawing(alphabet: str, character: int, drawer: int) -> NDArray[np.bool_]:
    """Return where ink is, ``[105, 105]``: three numbers in binary, as blocks of 5 × 5."""
    small = np.zeros((21, 21), bool)
    for row, number in enumerate((ord(alphabet[0]), character, drawer)):
        small[row, :8] = [number >> bit & 1 for bit in range(8)]
    return np.repeat(np.repeat(small, 5, 0), 5, 1)


def numbers(images: Any) -> NDArray[np.int64]:
    """Return the three numbers of each image ``[..., 21, 21]``, ``[..., 3]``."""
    return np.asarray(images)[..., :3, :8].astype(np.int64) @ (1 << np.arange(8))


def write(path: Path, alphabets: Mapping[str, int], missing: str = "", size: int = 105) -> None:
    """Write a zip file of alphabets with so many characters each."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{path.stem}/", b"")
        for alphabet, characters in alphabets.items():
            for character in range(1, characters + 1):
                for drawer in range(1, DRAWERS + 1):
                    png, name = io.BytesIO(), f"{alphabet}/character{character:02}/{character:04}_{drawer:02}.png"
                    Image.fromarray(~drawing(alphabet, character, drawer)[:size]).save(png, "png")
                    if name != missing:
                        file.writestr(f"{path.stem}/{name}", png.getvalue())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("EVOMETA_DATA", raising=False)
    write(tmp_path / TRAINING, {"Greek": 2, "Ab": 3})
    write(tmp_path / HELD_OUT, {"Cde": 5, "Greek": 2, "Xy": 2})
    return tmp_path


@pytest.fixture
def coded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters like those of the files, but whose images are numbers."""

    def part(alphabets: Mapping[str, int]) -> Characters:
        images = [
            [255 * drawing(alphabet, character, drawer)[::5, ::5] for drawer in range(1, DRAWERS + 1)]
            for alphabet, characters in alphabets.items()
            for character in range(1, characters + 1)
        ]
        numbers = np.repeat(np.arange(len(alphabets), dtype=np.int32), list(alphabets.values()))
        return Characters(np.array(images, np.uint8), numbers, tuple(alphabets))

    parts = part({"Ab": 3, "Greek": 2}), part({"Cde": 5, "Xy": 2})
    monkeypatch.setattr(character_tasks, "characters", lambda source, directory: parts)


def test_reads_what_was_drawn_and_holds_out_what_only_the_second_file_has(folder: Path) -> None:
    training, held_out = omniglot(folder)
    assert training.names == ("Ab", "Greek")
    assert held_out.names == ("Cde", "Xy")
    assert training.alphabets.tolist() == [0, 0, 0, 1, 1]
    assert held_out.alphabets.tolist() == [0] * 5 + [1] * 2
    for part, characters in ((training, [1, 2, 3, 1, 2]), (held_out, [1, 2, 3, 4, 5, 1, 2])):
        for row, (alphabet, character) in enumerate(zip(part.alphabets, characters, strict=True)):
            for drawer in range(DRAWERS):
                expected = normalised(drawing(part.names[alphabet], character, drawer + 1))
                np.testing.assert_array_equal(part.images[row, drawer], expected)


def test_where_and_how_large_a_drawing_is_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    small = np.zeros((10, 10), bool)
    small[rng.integers(0, 10, 30), rng.integers(0, 10, 30)] = True
    images = []
    for times, top, left in ((5, 3, 20), (5, 50, 1), (9, 10, 4)):
        ink = np.zeros((105, 105), bool)
        ink[top : top + 10 * times, left : left + 10 * times] = np.kron(small, np.ones((times, times), bool))
        images.append(normalised(ink) / 255)
    np.testing.assert_allclose(images[1], images[0], atol=0.01)
    assert np.corrcoef(images[2].ravel(), images[0].ravel())[0, 1] > 0.98
    grid = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")) - (SIZE - 1) / 2
    for image in images:
        centre = (image * grid).sum(axis=(1, 2)) / image.sum()
        np.testing.assert_allclose(centre, 0, atol=0.05)
        assert np.sqrt((image * (grid**2).sum(axis=0)).sum() / image.sum()) == pytest.approx(RADIUS, rel=0.05)


def test_is_found_by_folder_by_variable_and_one_folder_below(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = (folder / TRAINING, folder / HELD_OUT)
    assert find(folder) == expected
    monkeypatch.setenv("EVOMETA_DATA", str(folder))
    assert find() == expected
    below = folder / "omniglot"
    below.mkdir()
    for name in (TRAINING, HELD_OUT):
        (folder / name).rename(below / name)
    assert find() == (below / TRAINING, below / HELD_OUT)


def test_says_which_file_to_get_and_where_to_put_it(folder: Path) -> None:
    said = (
        rf"expects the file {HELD_OUT} in the folder .*github.com/brendenlake/omniglot.*--data-directory.*EVOMETA_DATA"
    )
    (folder / HELD_OUT).unlink()
    with pytest.raises(ConfigurationError, match=said):
        Search(OmniglotPrototypes(data_directory=str(folder)), Gradient())
    with pytest.raises(ConfigurationError, match=rf"expects the file {TRAINING} in a folder, and none was named"):
        Search(OmniglotPrototypes(), Gradient())
    assert "omniglot" not in OmniglotPrototypes(characters="glyphs").shifted()


def test_says_that_a_file_is_damaged(folder: Path) -> None:
    file = folder / TRAINING
    whole = file.read_bytes()
    png = whole.index(b"IDAT")
    for damaged in (b"", whole[: len(whole) // 2], whole[: png + 4] + bytes(8) + whole[png + 12 :]):
        file.write_bytes(damaged)
        with pytest.raises(
            ConfigurationError, match=rf"expects {TRAINING} as its authors made it, and the file is dam"
        ):
            omniglot(folder)
    write(file, {"Ab": 2}, size=100)
    with pytest.raises(
        ConfigurationError, match=r"an image of \(100, 105\) pixels with ink on .*, not of \(105, 105\)"
    ):
        omniglot(folder)
    write(file, {"Ab": 2}, missing="Ab/character01/0001_03.png")
    with pytest.raises(ConfigurationError, match=r"the same number of drawings each, got \[3, 4\]"):
        omniglot(folder)
    write(file, {})
    with pytest.raises(ConfigurationError, match="got none"):
        omniglot(folder)
    write(file, {"Cde": 5, "Greek": 2, "Xy": 2})
    with pytest.raises(ConfigurationError, match=rf"expects {HELD_OUT} to have alphabets that"):
        omniglot(folder)


@pytest.mark.usefixtures("coded")
def test_episodes_are_of_one_alphabet_and_of_the_same_people() -> None:
    problem = OmniglotPrototypes(ways=3, shots=2, queries=1)
    tasks = jax.device_get(jax.jit(jax.vmap(problem.sample_test_task))(jax.random.split(jax.random.key(0), 60)))
    support, query = numbers(tasks.support), numbers(tasks.query)  # [60, ways, each, 3]
    assert (support[:, :, :1, :2] == np.concatenate([support, query], axis=2)[..., :2]).all()  # a row is a class
    people = np.concatenate([support, query], axis=2)[..., 2]
    assert (people == people[:, :1]).all()  # all classes are drawn by the same people,
    assert all(len({*row}) == 3 for row in people[:, 0])  # none of whom draws twice
    of = [sorted(chr(alphabet) for alphabet in classes[:, 0, 0]) for classes in support]
    # Cde has characters enough. Xy has two, and one of Cde's fills it up.
    assert {"".join(letters) for letters in of} == {"CCC", "CXX"}
    assert 15 < sum(letters == ["C", "C", "C"] for letters in of) < 45
    assert len({tuple(classes[:, 0, 1]) for classes in support if (classes[:, 0, 0] == ord("C")).all()}) > 10


@pytest.mark.usefixtures("coded")
def test_alphabets_can_be_mixed() -> None:
    problem = OmniglotPrototypes(ways=2, within_alphabet=False)
    tasks = jax.jit(jax.vmap(problem.sample_test_task))(jax.random.split(jax.random.key(0), 60))
    of = numbers(tasks.support)[:, :, 0, 0]
    assert 15 < np.sum(of[:, 0] != of[:, 1]) < 45  # 20 of 42 pairs are of two alphabets


@pytest.mark.usefixtures("coded")
def test_classes_are_turned_by_quarters_in_training_only() -> None:
    problem = OmniglotPrototypes(ways=2, shots=1, queries=1)
    keys = jax.random.split(jax.random.key(0), 40)
    tasks = jax.device_get(jax.jit(jax.vmap(problem.sample_task))(keys))
    quarters = np.zeros(4, int)
    for support, query in zip(tasks.support.reshape(80, 21, 21), tasks.query.reshape(80, 21, 21), strict=True):
        (turn,) = (n for n in range(4) if numbers(np.rot90(support, -n))[0] in (ord("A"), ord("G")))
        back = numbers(np.rot90(support, -turn)), numbers(np.rot90(query, -turn))
        assert back[0][:2].tolist() == back[1][:2].tolist()  # the query is turned as the example is
        quarters[turn] += 1
    assert quarters.min() > 8
    plain = dataclasses.replace(problem, turned=False)
    for draw in (plain.sample_task, problem.sample_test_task):
        first = numbers(jax.jit(jax.vmap(draw))(keys).support)[..., 0]
        assert {*map(chr, first.ravel())} <= {"A", "G", "C", "X"}


@pytest.mark.usefixtures("coded")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ways": 6}, "ways of at most the 5 characters of Ab, Greek,"),
        ({"shots": 3}, "shots . queries of at most the 4 drawings of each"),
        ({"ways": 1}, "to be a whole number of at least 2, got 1"),
        ({"queries": 0}, "to be a whole number of at least 1, got 0"),
        ({"channels": ()}, "to be a tuple of 1 or more whole numbers of at least 1"),
    ],
)
def test_refuses_more_than_there_is(changes: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        OmniglotPrototypes(**{"ways": 3, **changes}).sample_task(jax.random.key(0))


def test_the_real_files_hold_out_106_characters() -> None:
    try:
        training, held_out = omniglot()
    except ConfigurationError as error:
        pytest.skip(str(error))
    counts = dict(zip(held_out.names, np.bincount(held_out.alphabets).tolist(), strict=True))
    assert counts == {"Japanese_(katakana)": 47, "Sanskrit": 42, "Tagalog": 17}
    assert training.names == ("Balinese", "Early_Aramaic", "Greek", "Korean", "Latin")
    assert (training.images.shape, held_out.images.shape) == ((136, 20, 21, 21), (106, 20, 21, 21))
    # Strokes are thin: ink is a small part of each image, and every image has some.
    ink = np.concatenate([training.images, held_out.images]).mean(axis=(2, 3)) / 255
    assert ink.min() > 0.01
    assert 0.1 < ink.mean() < 0.2
