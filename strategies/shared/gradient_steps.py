"""What strategies share that take gradient steps: how the optimizer is checked and made, and how its rate falls."""

import jax
import optax

from evometa.strategies.shared.optimizer import Optimizer, decayed
from evometa.types import Scalar


class GradientSteps:
    """A strategy with an optimizer, whose learning rate falls over generations."""

    learning_rate: float
    optimizer: Optimizer | str
    decay_generations: int
    learning_rate_final: float

    def __post_init__(self) -> None:
        Optimizer.of(self.optimizer)

    def _learning_rate(self, generation: jax.typing.ArrayLike) -> Scalar:
        return decayed(self.learning_rate, generation, self.decay_generations, self.learning_rate_final)

    def _transformation(self, weight_decay: float | None = None) -> optax.GradientTransformation:
        return Optimizer.of(self.optimizer).transformation(self._learning_rate, weight_decay)
