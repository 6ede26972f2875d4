"""What strategies that take gradient steps have in common: the optimizer and the schedule of its learning rate."""

import jax
import optax

from evometa.backend.slices import Vectors
from evometa.strategies.shared.optimizer import Optimizer, decayed
from evometa.types import Scalar


class GradientSteps:
    """A strategy with a gradient optimizer, whose learning rate decays over generations."""

    learning_rate: float
    optimizer: Optimizer | str
    decay_generations: int
    learning_rate_final: float

    def __post_init__(self) -> None:
        Optimizer.of(self.optimizer)

    def _learning_rate(self, generation: jax.typing.ArrayLike) -> Scalar:
        return decayed(self.learning_rate, generation, self.decay_generations, self.learning_rate_final)

    def _transformation(
        self, weight_decay: float | None = None, over: Vectors | None = None
    ) -> optax.GradientTransformation:
        return Optimizer.of(self.optimizer).transformation(self._learning_rate, weight_decay, over)
