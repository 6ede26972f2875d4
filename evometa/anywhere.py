"""Spaces without their start: a search in one begins at a random point."""

from evometa.expressions import Expression
from evometa.space import Space, VectorSpace
from evometa.types import Genotype, Key, Omega


def anywhere(space: Space) -> Space:
    """Return the same space with a start that is drawn from the whole of it."""
    if isinstance(space, Expression):
        return space.without_start()
    return _AnywhereInVectors(space) if isinstance(space, VectorSpace) else _Anywhere(space)


class _AnywhereInVectors(VectorSpace):
    def __init__(self, space: VectorSpace) -> None:
        self._space, self.coordinates = space, space.coordinates

    def sample(self, key: Key) -> Genotype:
        return self._space.sample(key)

    def decode(self, genotype: Genotype) -> Omega:
        return self._space.decode(genotype)


class _Anywhere(Space):
    def __init__(self, space: Space) -> None:
        self._space = space

    def start(self, key: Key) -> Genotype:
        return self._space.sample(key)

    def sample(self, key: Key) -> Genotype:
        return self._space.sample(key)

    def repair(self, genotype: Genotype) -> Genotype:
        return self._space.repair(genotype)

    def decode(self, genotype: Genotype) -> Omega:
        return self._space.decode(genotype)

    def mutate(self, key: Key, genotype: Genotype, rate: float = 1.0, scale: float = 0.1) -> Genotype:
        return self._space.mutate(key, genotype, rate, scale)

    def crossover(self, key: Key, first: Genotype, second: Genotype) -> Genotype:
        return self._space.crossover(key, first, second)
