"""Gradient optimizers, for all strategies that take steps along an estimated gradient: one field ``optimizer`` each."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from evometa.backend.slices import Place, Sliced, Vectors, Whole
from evometa.errors import ConfigurationError, nearest
from evometa.settings import Checked
from evometa.strategies.shared.in_slices import in_slices
from evometa.types import Scalar

LearningRate = float | Callable[[jax.typing.ArrayLike], jax.typing.ArrayLike]
"""A learning rate, or a schedule: from the steps taken so far to a learning rate."""


@dataclasses.dataclass(frozen=True)
class Optimizer(metaclass=Checked):
    """Turns gradients into steps; the name of an optimizer, and its settings.

    Where a strategy has a field ``optimizer``, a name alone may stand for an optimizer with its default settings::

        OpenAIES(optimizer="momentum")
        OpenAIES(optimizer=Optimizer("adamw", {"weight_decay": 0.1}))
        OpenAIES(optimizer=Optimizer("clip_up", {"max_speed": 2.0}))

    ============  ===============================================================================================
    ``adam``      ``optax.adam`` (Kingma & Ba 2015): ``b1``, ``b2``, ``eps``, ``eps_root``, ``nesterov``
    ``sgd``       ``optax.sgd``: ``momentum``, ``nesterov``
    ``momentum``  the same with a momentum of 0.9: ``decay``, ``nesterov``
    ``clip_up``   momentum on normalised gradients, and a longest step (Toklu et al. 2020): ``max_speed`` in learning
                  rates (2), ``momentum`` (0.9)
    other names   ``optax.<name>(**settings)``, with the strategy's learning rate
    ============  ===============================================================================================

    The learning rate and its schedule belong to the strategy. On the command line an optimizer is one word, such as
    ``sgd`` or ``adam:b1=0.8,nesterov=true``.

    Raises:
        ConfigurationError: a name that is none of these, a setting that the optimizer does not have, or an optimizer
            that needs more than gradients.
    """

    name: str = "adam"
    """One of the names above, or that of a gradient transformation of optax."""
    settings: Mapping[str, Any] | tuple[tuple[str, Any], ...] = ()
    """Names and values: numbers, strings, booleans, or tuples of these. Kept as sorted pairs."""

    @property
    def _pairs(self) -> Iterable[tuple[str, Any]]:
        return self.settings.items() if isinstance(self.settings, Mapping) else self.settings

    def __post_init__(self) -> None:
        settings = {name: value.item() if isinstance(value, np.generic) else value for name, value in self._pairs}
        object.__setattr__(self, "settings", tuple(sorted(settings.items())))
        for name, value in settings.items():
            if not _plain(value):
                raise ConfigurationError(
                    f"Optimizer expects numbers, strings, booleans or tuples of these as settings, which the run's "
                    f"manifest can hold, got {name}={value!r}."
                )
        _check(self)

    @classmethod
    def of(cls, given: "Optimizer | str") -> "Optimizer":
        """Return an optimizer as it is, or the one with a name and default settings."""
        return cls(given) if isinstance(given, str) else given

    def transformation(
        self, learning_rate: LearningRate, weight_decay: float | None = None, over: Vectors | None = None
    ) -> optax.GradientTransformation:
        """Return the optimizer as a transformation of optax, from gradients to steps.

        Args:
            learning_rate: a number or a schedule.
            weight_decay: part of the parameters taken away in each step, times the learning rate (decoupled, as in
                AdamW); None for none.
            over: how the strategy computes with its vectors; None: as a whole. Where it splits them, so does the
                optimizer if it is ClipUp or computes each step from its own gradients alone; others have the whole.
        """
        function, settings = _function(self.name), dict(self.settings)
        if function is clip_up:
            function = functools.partial(_clip_up, over)

        def split(made: optax.GradientTransformation) -> optax.GradientTransformation:
            return in_slices(made, over) if isinstance(over, Sliced) else made

        if "learning_rate" not in inspect.signature(function).parameters:
            decay = [] if weight_decay is None else [optax.add_decayed_weights(weight_decay)]
            steps = optax.scale_by_learning_rate(learning_rate)
            return split(optax.chain(function(**settings), *decay, steps))
        made: optax.GradientTransformation = function(learning_rate=learning_rate, **settings)
        whole = made if self.name == "clip_up" else split(made)
        if not weight_decay:
            return whole
        rate = learning_rate if callable(learning_rate) else lambda _: learning_rate
        taken_away = optax.inject_hyperparams(optax.add_decayed_weights)(lambda step: -weight_decay * rate(step))
        return optax.chain(whole, split(taken_away))

    # The command line reads and writes fields of types with these two methods as one word.
    @classmethod
    def from_word(cls, word: str) -> "Optimizer":
        """Return the optimizer that a word such as ``adam:b1=0.8`` means."""
        name, _, rest = word.partition(":")
        pairs = [part.partition("=") for part in rest.split(",") if part]
        return cls(name, {key: _value(text) for key, _, text in pairs})

    def as_word(self) -> str:
        """Return the word that means this optimizer."""
        settings = ",".join(f"{key}={value}" for key, value in dict(self.settings).items())
        return f"{self.name}:{settings}" if settings else self.name


def decayed(value: float, generation: jax.typing.ArrayLike, generations: float, final: float) -> Scalar:
    """Return a value that decays exponentially to a final fraction over some generations, and is constant then."""
    progress = jnp.minimum(jnp.asarray(generation).astype(jnp.result_type(float)) / generations, 1.0)
    return value * final**progress


class ClipUpState(NamedTuple):
    """The state of ClipUp when its learning rate follows a schedule."""

    velocity: jax.Array
    """``[D]``, the last step."""
    steps: Scalar
    """Steps taken, int32."""


def clip_up(learning_rate: LearningRate, max_speed: float = 2.0, momentum: float = 0.9) -> optax.GradientTransformation:
    """Return ClipUp (Toklu et al. 2020, arXiv:2008.02387): momentum on normalised gradients, with clipped steps.

    Args:
        learning_rate: length of the step that a gradient ``[D]`` adds to the velocity.
        max_speed: the longest step, in learning rates.
        momentum: part of the velocity that is kept, in [0, 1).
    """
    return _clip_up(None, learning_rate, max_speed, momentum)


def _clip_up(
    vectors: Vectors | None, learning_rate: LearningRate, max_speed: float = 2.0, momentum: float = 0.9
) -> optax.GradientTransformation:
    def pulled(_: Place, shared: Any, both: Any) -> jax.Array:
        (rate, length), (gradient, velocity) = shared, both
        faster: jax.Array = momentum * velocity - rate * gradient / jnp.where(length > 0, length, 1.0)
        return faster

    def clipped(_: Place, shared: Any, velocity: jax.Array) -> jax.Array:
        speed, limit = shared
        return velocity * jnp.where(speed > limit, limit / speed, 1.0)

    def step(gradient: jax.Array, velocity: jax.Array, rate: jax.typing.ArrayLike) -> jax.Array:
        over = vectors or Whole(gradient.size)
        velocity = over.each(pulled, (rate, over.norm(gradient)), (gradient, velocity))
        last: jax.Array = over.each(clipped, (over.norm(velocity), rate * max_speed), velocity)
        return last

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if not callable(learning_rate):
            velocity = step(gradient, state, learning_rate)
            return velocity, velocity
        velocity = step(gradient, state.velocity, learning_rate(state.steps))
        return velocity, ClipUpState(velocity, state.steps + 1)

    def init(params: Any) -> Any:
        velocity = jnp.zeros_like(params)
        return ClipUpState(velocity, jnp.int32(0)) if callable(learning_rate) else velocity

    return optax.GradientTransformation(init, update)


def _sgd(momentum: float | None = None, nesterov: bool = False) -> optax.GradientTransformation:
    return optax.identity() if momentum is None else optax.trace(momentum, nesterov)


def _momentum(decay: float = 0.9, nesterov: bool = False) -> optax.GradientTransformation:
    return optax.trace(decay, nesterov)


# In the parts that optax.adam and optax.sgd consist of, so that weight decay can come between direction and step.
_OWN: dict[str, Callable[..., Any]] = {
    "adam": optax.scale_by_adam,
    "sgd": _sgd,
    "momentum": _momentum,
    "clip_up": clip_up,
}


def _function(name: str) -> Callable[..., Any]:
    return _OWN[name] if name in _OWN else getattr(optax, name)


def _known() -> list[str]:
    """Return the names of all functions that make gradient transformations."""
    found = [*_OWN]
    for name in dir(optax):
        thing = getattr(optax, name)
        if not name.startswith("_") and inspect.isfunction(thing):
            made = inspect.signature(thing).return_annotation
            found += [name] if "GradientTransformation" in str(made) else []
    return found


@functools.cache
def _check(optimizer: Optimizer) -> None:
    """Raise ConfigurationError unless an optimizer exists, has its settings, and turns gradients alone into steps."""
    name, settings = optimizer.name, dict(optimizer.settings)
    known = _known()
    if name not in known:
        raise ConfigurationError(
            "Optimizer expects adam, sgd, momentum, clip_up or the name of a gradient transformation of optax, "
            f"got {name!r}. {nearest(name, known)}"
        )
    has = [key for key in inspect.signature(_function(name)).parameters if key != "learning_rate"]
    for key in settings:
        if key not in has:
            raise ConfigurationError(
                f"Optimizer expects settings that {name} has, got {key!r}. "
                f"{nearest(key, has) if has else 'It has none.'}"
            )
    try:
        _try(optimizer)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(". ")
        raise ConfigurationError(
            f"Optimizer expects a gradient transformation of optax that works by gradients and plain settings alone, "
            f"and {optimizer.as_word()} does not: {reason}."
        ) from error


def _try(optimizer: Optimizer) -> None:
    """Take one step on abstract values."""
    point = jax.ShapeDtypeStruct((2,), jnp.result_type(float))
    made = optimizer.transformation(lambda _: jnp.ones(()))
    before = jax.eval_shape(made.init, point)
    step, after = jax.eval_shape(made.update, point, before, point)
    shapes, others = (jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree) for tree in (before, after))
    if shapes != others or (step.shape, step.dtype) != (point.shape, point.dtype):
        raise TypeError("its state or its steps change their shape or type")


def _plain(value: Any) -> bool:
    if type(value) is tuple:
        return all(map(_plain, value))
    return value is None or (type(value) in (bool, int, float, str) and value == value)  # without NaN


def _value(text: str) -> bool | int | float | str:
    if text in ("true", "True", "false", "False"):
        return text in ("true", "True")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
