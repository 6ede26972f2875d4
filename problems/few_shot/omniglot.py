"""Omniglot's handwritten characters, read from the official zip files.

Lake, Salakhutdinov and Tenenbaum, "Human-level concept learning through probabilistic program induction", Science 350,
2015. The two "minimal" sets of five alphabets each share Greek and Latin: the first set is for training, and the three
alphabets that only the second has, with 106 characters, are held out.
"""

import functools
import io
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.problems.few_shot.characters import RADIUS, SIZE, Characters

VARIABLE = "EVOMETA_DATA"
TRAINING, HELD_OUT = "images_background_small1.zip", "images_background_small2.zip"
PIXELS = 105


def omniglot(directory: str | os.PathLike[str] | None = None) -> tuple[Characters, Characters]:
    """Read the five alphabets of the first minimal set, and the three that only the second set has.

    Args:
        directory: the folder with the two zip files, or the parent of a folder ``omniglot`` with them; None: the folder
            that the environment variable EVOMETA_DATA names.

    Raises:
        ConfigurationError: a file is missing or damaged.
    """
    first, second = (_read(path, path.stat().st_mtime_ns) for path in find(directory))
    new = np.array([second.names[alphabet] not in first.names for alphabet in second.alphabets])
    if not new.any():
        raise ConfigurationError(
            f"Omniglot expects {HELD_OUT} to have alphabets that {TRAINING} does not have, and it has "
            "none; download both again."
        )
    return first, _characters(second.images[new], [second.names[a] for a in second.alphabets[new]])


def find(directory: str | os.PathLike[str] | None = None) -> tuple[Path, Path]:
    """Return the paths of the two files.

    Raises:
        ConfigurationError: one of them is missing; the message says where to get it, and where to put it.
    """
    named = directory or os.environ.get(VARIABLE)
    folders = [Path(named).expanduser() / below for below in ("", "omniglot")] if named else []
    found = []
    for name in (TRAINING, HELD_OUT):
        places = [folder / name for folder in folders if (folder / name).is_file()]
        if not places:
            raise ConfigurationError(
                f"Omniglot expects the file {name} in "
                + (f"the folder {named!r}, and it is not there" if named else "a folder, and none was named")
                + "; get it from the folder python/ of Brenden Lake's repository github.com/brendenlake/omniglot, do "
                f"not unpack it, and name the folder it is in by data_directory (--data-directory) or the environment "
                f"variable {VARIABLE}; or take characters='glyphs' (--characters glyphs), which need no files."
            )
        found.append(places[0])
    return found[0], found[1]


@functools.lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> Characters:
    """Read one file, whose entries are ``set/alphabet/character01/0001_01.png``."""
    drawings: dict[tuple[str, str], list[NDArray[np.uint8]]] = {}
    try:
        with zipfile.ZipFile(path) as file:
            for name in sorted(file.namelist()):
                if name.endswith(".png") and name.count("/") == 3:
                    _, alphabet, character, _ = name.split("/")
                    drawings.setdefault((alphabet, character), []).append(_decode(file.read(name)))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigurationError(
            f"Omniglot expects {path.name} as its authors made it, and the file is damaged ({error}); "
            "download it again."
        ) from error
    counts = {len(images) for images in drawings.values()}
    if len(counts) != 1:
        raise ConfigurationError(
            f"Omniglot expects {path.name} to have one or more characters with the same number of drawings each, got "
            f"{sorted(counts) or 'none'}; download it again."
        )
    return _characters(np.array(list(drawings.values())), [alphabet for alphabet, _ in drawings])


def _decode(file: bytes) -> NDArray[np.uint8]:
    """Return the image ``[SIZE, SIZE]`` of a PNG of black ink on white."""
    from PIL import Image

    paper = np.asarray(Image.open(io.BytesIO(file)).convert("1"))
    if paper.shape != (PIXELS, PIXELS) or paper.all():
        raise ValueError(f"an image of {paper.shape} pixels with ink on {np.sum(~paper)}, not of {(PIXELS, PIXELS)}")
    return normalised(~paper)


def normalised(ink: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return an image ``[H, W]`` centred on its centre of mass and scaled to a radius of RADIUS, ``[SIZE, SIZE]``.

    Position and size of a drawing say nothing about the character, and make drawings hard to compare.
    """
    places = np.stack(np.nonzero(ink)).astype(np.float32)
    centre = places.mean(axis=1)
    spread = float(np.sqrt(((places - centre[:, None]) ** 2).sum(axis=0).mean()))
    pixel = max(spread / RADIUS, 1.0)  # width of an output pixel in input pixels
    grid = (np.arange(SIZE) - (SIZE - 1) / 2) * pixel
    # Each output pixel is a mean of input pixels, with triangular weights along rows and columns.
    rows, columns = (
        np.maximum(1 - np.abs(middle + grid[:, None] - np.arange(length)) / pixel, 0)
        for middle, length in zip(centre, ink.shape, strict=True)
    )
    mean = rows @ ink.astype(np.float32) @ columns.T / pixel**2
    return np.asarray(np.round(255 * np.clip(mean, 0, 1)), np.uint8)


def _characters(images: NDArray[np.uint8], alphabets: list[str]) -> Characters:
    names = tuple(sorted(set(alphabets)))
    return Characters(images, np.array([names.index(name) for name in alphabets], np.int32), names)
