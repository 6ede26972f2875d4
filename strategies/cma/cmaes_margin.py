"""CMA-ES with margin for reals, integers and categories (Hamano et al. 2022, 2024, arXiv:2205.13482, 2405.09962)."""

import dataclasses
import math
from typing import Annotated, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.settings import Advice, NonNegative, Range, Several, StepSize
from evometa.spaces import Box, Categorical, Dict
from evometa.spaces.base import CATEGORY, INTEGER, Space, VectorSpace
from evometa.strategies.cma.choices import CHANGED, Choices, equally_likely, learn
from evometa.strategies.cma.cmaes import CMAES, CMAESState, begun_at
from evometa.strategies.cma.margin import Ranges, recombined, too_wide, with_margin
from evometa.strategies.cma.rates import rates
from evometa.strategies.cma.stagnation import window
from evometa.strategies.shared import categorical, warm_start
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.failures import elsewhere
from evometa.strategies.shared.ranks import places, recombination
from evometa.strategy import Feedback, Strategy, unless_all_failed
from evometa.types import Key, Scalar


class Numbers(NamedTuple):
    """The M reals and integers; a candidate's integer is mean + stretch · drawn, rounded, a real is drawn as it is."""

    gaussian: CMAESState
    """Of ``drawn``. Its mean is 0 for integers, whose steps may be too small beside their mean to be told apart."""
    mean: jax.Array
    """Of the integers, ``[M]``, in genotype units or, for those searched in it, their logarithm."""
    stretch: jax.Array
    """A ``[M]``: genotype units for one unit of the Gaussian; the range of an integer at first, 1 for reals."""
    drawn: jax.Array
    """``[P, M]``, of the candidates last asked for."""


class CMAwMState(NamedTuple):
    """The joint distribution of numbers and categories; a part that the space does not have is empty."""

    numbers: Numbers | tuple[()]
    choices: Choices | tuple[()]
    space: VectorSpace
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class CMAwM(Strategy[CMAwMState]):
    """CMA-ES for reals mixed with integers, with a probability for each choice of a category.

    Reals and integers share one Gaussian, that of :class:`~evometa.strategies.CMAES`, so that their correlations are
    learned; an integer is its coordinate rounded. Rounding alone converges too early: when a standard deviation falls
    far below one, the integer never changes again. The **margin** keeps the probability that an integer changes above a
    bound, by moving its mean and stretching its axis (Hamano et al. 2022). Beside the paper, the mean moves along
    stretched axes, as far as the candidates lie apart; where few of the winners are left at the mean's integer, the
    others count with the middle of theirs (integer centering, Marty et al. 2024, here for the mean only); no deviation
    outgrows a third of its range; and that of an integer at an end of its range stays large enough for float32.

    Categories have no order, so each has a probability for each choice, learned by natural gradient in steps as long as
    the signal-to-noise ratio allows, and with a margin of its own (CatCMA, Hamano et al. 2024). With real numbers alone
    this is CMA-ES, but for that limit where they are bounded; with categories alone there is no Gaussian, and no reason
    to stop.

    Raises:
        ConfigurationError: population_size below 2, sigma not positive, margin not in (0, 0.5), a negative tolerance.
    """

    population_size: Several = 32
    """Candidates in a generation, P >= 2, as for :class:`~evometa.strategies.CMAES`."""
    sigma: StepSize = 0.3
    """First step size: a fraction of the range of integers and bounded reals, in genotype units otherwise."""
    margin: (
        Annotated[float, Range(above=0, below=0.5), Advice("leave it out for one change in a generation")] | None
    ) = None
    """Least chance that an integer changes, α; None for 1/(M P), one integer in a generation."""
    diagonal_decoding: bool = False
    """As for :class:`~evometa.strategies.CMAES`."""
    tolfun: NonNegative = 1e-11
    """Stop when all fitness of a generation, and the best ones of many, differ by less."""
    tolfunhist: NonNegative = 1e-12
    """Stop when the best fitness of many generations differ by less: of 10 + 30 M/P, or of as many as it takes to try
    each other integer and choice beside the likeliest three times."""
    tolx: NonNegative = 1e-11
    """Stop when the Gaussian is narrower than this in every coordinate, before stretching."""

    told_when_all_fail: ClassVar[bool] = True
    stop_reasons: ClassVar[tuple[str, ...]] = CMAES.stop_reasons

    @property
    def _cmaes(self) -> CMAES:
        shared = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "margin"}
        return CMAES(**shared)

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces whose genotypes are not vectors."""
        if isinstance(space, VectorSpace):
            return None
        return (
            "CMAwM searches numbers and categories (Box, Like, Integer, Categorical, Dict of these), and "
            f"{type(space).__name__} holds structures; use GeneticAlgorithm or AgedEvolution, which search any space."
        )

    def init(self, key: Key, space: Space) -> CMAwMState:
        """Start at the space's start, with C the identity and every choice of a category equally likely."""
        space = vector_space(self, space)
        layout = _Layout(space)
        start = layout.ranges.number(space.start(key)[layout.numeric])
        numbers: Numbers | tuple[()] = ()
        if layout.m:
            gaussian = self._cmaes.init(key, Box((layout.m,)))._replace(
                mean=jnp.where(layout.ranges.whole, 0.0, start),
                history=jnp.full((layout.window(self.population_size),), jnp.inf, start.dtype),
            )
            stretch = jnp.asarray(layout.ranges.unit, start.dtype)
            numbers = Numbers(gaussian, start, stretch, jnp.zeros((self.population_size, layout.m), start.dtype))
        return CMAwMState(numbers, equally_likely(layout.categories) if layout.n else (), space)

    def begun(self, state: CMAwMState, points: jax.Array) -> CMAwMState:
        """Take means, the covariance of real numbers, and the chances of categories from known points ``[K, D]``."""
        layout, numbers, choices = _Layout(state.space), state.numbers, state.choices
        if isinstance(numbers, Numbers):
            rows = layout.ranges.number(points[:, layout.numeric].astype(numbers.mean.dtype))
            whole = layout.ranges.whole
            known = begun_at(numbers.gaussian, jnp.where(whole[None], 0.0, rows), self.sigma)
            # Those of integers count in their own units, in which they begin as ever.
            own = whole[:, None] | whole[None, :]
            identity = jnp.eye(layout.m, dtype=rows.dtype)
            covariance = jnp.where(own, identity, known.covariance * (known.sigma / self.sigma) ** 2)
            gaussian = known._replace(
                sigma=numbers.gaussian.sigma, covariance=covariance, factor=jnp.linalg.cholesky(covariance)
            )
            numbers = numbers._replace(gaussian=gaussian, mean=jnp.mean(rows, axis=0))
        if isinstance(choices, Choices):
            probability = warm_start.choices(layout.categories, points[:, layout.category])
            choices = choices._replace(probability=probability.astype(choices.probability.dtype))
        return CMAwMState(numbers, choices, state.space)

    def resized(self, key: Key, state: CMAwMState, space: Space, former: Strategy[CMAwMState]) -> CMAwMState:
        """Keep the distribution; the flat history begins anew where its length changes."""
        numbers, fresh = state.numbers, self.init(key, space).numbers
        if not (isinstance(numbers, Numbers) and isinstance(fresh, Numbers)):
            return state
        gaussian, new = numbers.gaussian, fresh.gaussian
        history = gaussian.history if len(gaussian.history) == len(new.history) else new.history
        gaussian = gaussian._replace(noise=new.noise, history=history)
        return state._replace(numbers=numbers._replace(gaussian=gaussian, drawn=fresh.drawn))

    def ask(self, key: Key, state: CMAwMState) -> tuple[jax.Array, CMAwMState]:
        """Draw ``[P, D]`` candidates, and keep the Gaussian samples."""
        layout = _Layout(state.space)
        key_numbers, key_choices = jax.random.split(key)
        parts = []
        if isinstance(state.numbers, Numbers):
            drawn, gaussian = self._cmaes.ask(key_numbers, state.numbers.gaussian)
            numbers = state.numbers._replace(gaussian=gaussian, drawn=drawn)
            parts.append(jnp.where(layout.ranges.whole, layout.ranges.cell(_stretched(numbers)), drawn))
            state = state._replace(numbers=numbers)
        if isinstance(state.choices, Choices):
            log_probability = jnp.log(state.choices.probability)
            parts.append(categorical.sample(key_choices, layout.categories, log_probability, self.population_size))
        return layout.genotype(parts), state

    def tell(self, key: Key, state: CMAwMState, genotypes: jax.Array, feedback: Feedback) -> CMAwMState:
        """Adapt the Gaussian and restore the margin of the integers; adapt the probabilities of the categories."""
        layout, numbers, choices = _Layout(state.space), state.numbers, state.choices
        table = rates(self.population_size, max(layout.m, 1)).gain
        gain, _, _ = recombination(table, places(feedback.fitness), 0.5)
        if isinstance(numbers, Numbers):
            gaussian = self._cmaes.tell(key, numbers.gaussian, numbers.drawn, Feedback(feedback.fitness))
            deviation = gaussian.sigma * gaussian.scale * jnp.linalg.norm(gaussian.factor, axis=1)
            narrow = too_wide(deviation, numbers.stretch, self.sigma, layout.ranges)
            mean, stretch = with_margin(
                recombined(_stretched(numbers), numbers.mean, gain, layout.ranges),
                numbers.stretch,
                narrow * deviation,
                self.margin or 1 / (max(layout.m, 2) * self.population_size),
                layout.ranges,
            )
            gaussian = gaussian._replace(
                mean=jnp.where(layout.ranges.whole, 0.0, gaussian.mean),
                covariance=narrow[:, None] * gaussian.covariance * narrow[None],
                factor=narrow[:, None] * gaussian.factor,
                path_c=narrow * gaussian.path_c,
            )
            numbers = Numbers(gaussian, mean, stretch, numbers.drawn)
        if isinstance(choices, Choices):
            frequency = categorical.frequencies(layout.categories, gain, genotypes[:, layout.category])
            choices = learn(choices, frequency, layout.categories)
        told, otherwise = CMAwMState(numbers, choices, state.space), state
        if isinstance(state.numbers, Numbers):
            gaussian = elsewhere(state.numbers.gaussian, self.sigma)
            otherwise = state._replace(numbers=state.numbers._replace(gaussian=gaussian))
        return unless_all_failed(feedback.fitness, told, otherwise)

    def center(self, state: CMAwMState) -> jax.Array:
        """Return the mean ``[D]``, with integers rounded and the most probable choices."""
        layout = _Layout(state.space)
        parts = []
        if isinstance(state.numbers, Numbers):
            mean = layout.ranges.cell(state.numbers.mean)
            parts.append(jnp.where(layout.ranges.whole, mean, state.numbers.gaussian.mean))
        if isinstance(state.choices, Choices):
            parts.append(categorical.mode(layout.categories, state.choices.probability))
        return layout.genotype(parts)

    def stop(self, state: CMAwMState) -> Scalar:
        """Return CMA-ES's stop code: 1 + the index of the first stop reason that has held since the start, or 0."""
        return self._cmaes.stop(state.numbers.gaussian) if isinstance(state.numbers, Numbers) else jnp.int32(0)

    def diagnostics(self, state: CMAwMState) -> dict[str, Scalar]:
        """Return the diagnostics of CMA-ES, and the entropy of the categories in nats, averaged."""
        numbers, choices = state.numbers, state.choices
        return (self._cmaes.diagnostics(numbers.gaussian) if isinstance(numbers, Numbers) else {}) | (
            {"entropy": categorical.entropy(choices.probability)} if isinstance(choices, Choices) else {}
        )


class _Layout:
    """Where the M numbers and the N categories are in a genotype."""

    def __init__(self, space: VectorSpace) -> None:
        lower, upper, kind, log = space.coordinates
        self.numeric, self.category = np.flatnonzero(kind != CATEGORY), np.flatnonzero(kind == CATEGORY)
        self.m, self.n = len(self.numeric), len(self.category)
        ends = (lower[self.numeric], upper[self.numeric])
        self.ranges = Ranges(*ends, kind[self.numeric] == INTEGER, log[self.numeric])
        self.count = upper[self.category].astype(int) + 1

    @property
    def categories(self) -> VectorSpace:
        """The categories as a space of their own."""
        return Dict({str(number): Categorical(int(count)) for number, count in enumerate(self.count)})

    def window(self, population_size: int) -> int:
        """Return for how many generations the best fitness must not change before the search stops."""
        integers = 10 + 6 * self.m * bool(self.ranges.whole.any())  # one of M changes in a generation, to either side
        choices = 10 + math.ceil(3 / CHANGED * int(np.sum(self.count - 1)) / population_size)
        return max(window(population_size, self.m), integers, choices)

    def genotype(self, parts: list[jax.Array]) -> jax.Array:
        """Join numbers ``[..., M]`` and categories ``[..., N]`` into genotypes ``[..., D]``; either may be empty."""
        if len(parts) == 1:
            return parts[0]
        return jnp.concatenate(parts, axis=-1)[..., np.argsort(np.concatenate([self.numeric, self.category]))]


def _stretched(numbers: Numbers) -> jax.Array:
    """Return the integers ``[P, M]`` of candidates before rounding."""
    return numbers.mean[None] + numbers.stretch[None] * numbers.drawn
