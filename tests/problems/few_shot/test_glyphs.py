"""Synthetic characters are many, differ from each other, and stay recognisable when drawn again."""

import subprocess
import sys

import numpy as np

from evometa.problems.few_shot.glyphs import glyphs

SUM = "from evometa.problems.few_shot.glyphs import glyphs; print(sum(int(p.images.sum()) for p in glyphs()))"


def test_they_are_the_same_in_every_process() -> None:
    there = subprocess.run([sys.executable, "-c", SUM], check=True, capture_output=True, text=True).stdout
    assert int(there) == sum(int(part.images.sum()) for part in glyphs())


def test_alphabets_do_not_meet_and_all_have_ink() -> None:
    training, held_out = glyphs()
    assert not {*training.names} & {*held_out.names}
    assert np.bincount(training.alphabets).tolist() == [28] * 5
    assert np.bincount(held_out.alphabets).tolist() == [28] * 3
    images = np.concatenate([training.images, held_out.images])
    assert images.shape[1:] == (20, 21, 21)
    assert images.max(axis=(2, 3)).min() > 128
    assert 0.05 < images.mean() / 255 < 0.15


def test_the_nearest_drawing_is_often_of_the_same_character() -> None:
    x = glyphs()[1].images.astype(np.float32).reshape(84, 20, -1) / 255
    one, another = x[:28, 0], x[:28, 1]
    nearest = np.argmin(((one[:, None] - another) ** 2).sum(axis=-1), axis=1)
    # By chance 1 of 28; far from all, or there would be nothing to learn.
    assert 5 <= np.sum(nearest == np.arange(28)) <= 24
