"""What counts is the mean over what was learned so far."""

import numpy as np

from evometa.problems.continual.forgetting import so_far


def test_only_what_was_learned_counts() -> None:
    found = np.array([[[1.0, 9.0], [3.0, 5.0]]], np.float32)
    assert so_far(found).tolist() == [[1.0, 4.0]]
