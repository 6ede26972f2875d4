from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from evometa import plots
from evometa.errors import ConfigurationError
from evometa.expressions import PrimitiveSet, compile_tree, parse

PRIMITIVES = PrimitiveSet(("prediction", "label"))


def test_a_loss_is_scaled_to_the_slope_of_cross_entropy() -> None:
    numbers = plots.loss_curves(lambda p, y: 3 * jnp.square(p - y) + 7)
    p = numbers.prediction
    right, wrong = numbers.loss
    np.testing.assert_allclose(right, 2 * (1 - p) ** 2 - 2 * (1 - p[100]) ** 2, atol=1e-5)  # slope -2 at 1/2
    np.testing.assert_allclose(wrong, 2 * p**2 - 2 * p[100] ** 2, atol=1e-5)
    np.testing.assert_allclose(numbers.usual[0], np.log(0.5 / p), atol=1e-6)
    assert numbers.text == ""


def test_cross_entropy_coincides_with_itself_and_has_its_text_as_title() -> None:
    text = "mul(-2.0, mul(label, log(prediction)))"
    picture = plots.losses(compile_tree(PRIMITIVES, parse(PRIMITIVES, text)))
    assert picture.get_suptitle() == text
    for axes in picture.axes:
        usual, found = (np.asarray(line.get_ydata()) for line in axes.lines)
        np.testing.assert_allclose(found, usual - usual[100], atol=1e-5)


@pytest.mark.parametrize(
    ("against", "loss"),
    [
        ("binary cross-entropy", lambda p, y: -5 * (y * jnp.log(p) + (1 - y) * jnp.log(1 - p))),
        ("squared error", lambda p, y: 3 * jnp.square(p - y) + 7),
    ],
)
def test_the_usual_loss_is_that_of_the_task(against: Any, loss: Any) -> None:
    numbers = plots.loss_curves(loss, against=against)
    np.testing.assert_allclose(numbers.loss, numbers.usual - numbers.usual[:, [100]], rtol=1e-4, atol=1e-4)
    left, right = plots.losses(loss, against=against).axes
    assert left.get_legend_handles_labels()[1] == [against, "found"]
    assert right.get_xlabel().endswith("label 0")
    with pytest.raises(ConfigurationError, match=r"got 'squared'. Nearest: squared error"):
        plots.loss_curves(loss, against="squared")  # type: ignore[arg-type]


def test_a_loss_without_a_slope_is_drawn_as_it_is() -> None:
    numbers = plots.loss_curves(lambda p, y: jnp.where(p > 0.9, 1.0, 0.0), "a step")
    assert numbers.text == "a step"
    assert numbers.loss.max() == pytest.approx(1.0)
