from typing import Any

import numpy as np
import pytest

from evometa.expressions import Expression, PrimitiveSet
from evometa.expressions.notation import parse
from evometa.storage.omega_text import omega_text

PRIMITIVES = PrimitiveSet(("x",))


@pytest.mark.parametrize(
    ("omega", "text"),
    [
        (
            {"lr": np.float32(0.1), "sgd": {"decay": np.array([1.0, 2.0])}, "n": np.int32(3)},
            "lr = 0.1, n = 3, sgd.decay = [1.0, 2.0]",
        ),
        (np.array([0.1, 0.2], np.float32), "[0.1, 0.2]"),
        ({"w": np.zeros((30, 40)), "b": np.zeros(40)}, "1,240 numbers in 2 arrays"),
        (np.zeros(100), "100 numbers"),
        ({"optimizer": "adam"}, "optimizer = adam"),
        (Expression(PRIMITIVES).decode(parse(PRIMITIVES, "add(x, 0.5)")), "add(x, 0.5)"),
    ],
)
def test_an_omega_in_one_line(omega: Any, text: str) -> None:
    assert omega_text(omega) == text
