"""Properties of all spaces on many genotypes, and tests of each kind of space."""

import math
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evometa import Box, Categorical, ConfigurationError, Dict, Integer, Like, VectorSpace
from evometa.topology import Topology

SPACES: dict[str, VectorSpace] = {
    "box": Box((3,), [-1.0, 0.0, 5.0], [1.0, 0.1, 500.0]),
    "log": Box((2,), 1e-5, 1e2, log=True),
    "unbounded": Box((2, 2), scale=3.0),
    "one bound": Box((4,), [0.5, -np.inf, -np.inf, 2.0], [np.inf, -3.0, np.inf, 3.0], scale=[1.0, 10.0, 1.0, 0.5]),
    "log from a bound": Box((2,), low=1e-3, log=True, scale=2.0),
    "a constant": Box((3,), [0.0, 1.0, -2.0], [1.0, 1.0, 2.0]),
    "integer": Integer(-3, 4, (3,)),
    "single": Integer(7, 7),
    "steps": Integer(16, 260, step=16),
    "log integer": Integer(1, 10**6, (2,), log=True),
    "category": Categorical(["a", "b", "c"], (2,)),
    "dict": Dict(
        {
            "rate": Box((), 1e-3, 1.0, log=True),
            "depth": Integer(1, 5),
            "kind": Categorical(4),
            "weights": Like({"w": jnp.zeros((2, 2)), "b": jnp.zeros(2)}),
        }
    ),
}
FEW = settings(max_examples=40, deadline=None)
every_space = pytest.mark.parametrize("name", SPACES)


def values(size: int) -> st.SearchStrategy[Any]:
    """Generate genotypes inside, outside and far outside of any bounds."""
    exact = {"width": 32, "allow_subnormal": False}  # which compiled programs may flush to zero
    number = st.floats(-30, 30, **exact) | st.floats(-1e6, 1e6, **exact)
    return st.lists(number, min_size=size, max_size=size).map(lambda found: np.asarray(found, np.float32))


REPAIR = {name: jax.jit(space.repair) for name, space in SPACES.items()}
SAMPLE = {name: jax.jit(jax.vmap(space.sample)) for name, space in SPACES.items()}
DECODE = {name: jax.jit(space.decode) for name, space in SPACES.items()}


def drawn_omegas(name: str, keys: Any) -> Any:
    space = SPACES[name]
    return np.asarray(jax.jit(jax.vmap(lambda key: space.decode(space.sample(key))))(keys))


def assert_inside(space: VectorSpace, genotypes: Any) -> None:
    lower, upper, kind, _ = space.coordinates
    found = np.asarray(genotypes)
    assert (found >= lower.astype(found.dtype)).all()
    assert (found <= upper.astype(found.dtype)).all()
    assert (found == np.where(kind == 0, found, np.round(found))).all()


@every_space
@FEW
@given(data=st.data())
def test_repair_maps_into_the_space_and_does_not_change_valid_genotypes(name: str, data: Any) -> None:
    genotype = data.draw(values(SPACES[name].size))
    repaired = REPAIR[name](genotype)
    assert_inside(SPACES[name], repaired)
    assert REPAIR[name](repaired).tobytes() == repaired.tobytes()


@FEW
@given(genotype=values(3))
def test_a_box_is_decoded_within_its_bounds(genotype: Any) -> None:
    for name in ("box", "log"):
        space: Any = SPACES[name]
        omega = np.asarray(DECODE[name](REPAIR[name](genotype[: space.size])))
        assert omega.dtype == np.float32
        assert ((omega >= space.low.astype(np.float32)) & (omega <= space.high.astype(np.float32))).all()


@FEW
@given(
    low=st.integers(-(10**6), 10**6).map(lambda n: n / 100),
    width=st.integers(1, 10**6).map(lambda n: n / 100),
    outside=st.integers(-300, 300).map(lambda n: n / 100),
)
def test_values_are_reflected_at_any_bounds(low: float, width: float, outside: float) -> None:
    space = Box((1,), low, low + width)
    lower = space.coordinates.lower
    omega = np.asarray(space.decode(space.repair(jnp.asarray(lower + outside, jnp.float32))))
    assert np.float32(low) <= omega[0] <= np.float32(low + width)
    phase = outside % 2.0  # in units of the range; the way back is the mirror image of the way there
    expected = low + width * (2.0 - phase if phase > 1.0 else phase)
    size = max(abs(low), abs(low + width))
    np.testing.assert_allclose(omega[0], expected, atol=1e-5 * (size + width))


def test_a_small_step_over_a_bound_is_reflected() -> None:
    space = Box((2,), -1.0, 3.0)  # one unit is the range of 4
    _, upper, *_ = space.coordinates
    np.testing.assert_allclose(space.repair(jnp.asarray(upper + 0.1, jnp.float32)), upper - 0.1, atol=1e-6)


@every_space
def test_samples_are_valid_and_differ(name: str) -> None:
    drawn = SAMPLE[name](jax.random.split(jax.random.key(0), 50))
    assert_inside(SPACES[name], drawn)
    if name != "single":
        assert len(np.unique(np.asarray(drawn), axis=0)) > 5


@every_space
def test_an_omega_is_encoded_to_a_genotype_that_gives_it_back(name: str) -> None:
    space = SPACES[name]
    drawn = SAMPLE[name](jax.random.split(jax.random.key(8), 20))
    for genotype in np.asarray(drawn):
        omega = jax.device_get(DECODE[name](genotype))
        again = np.asarray(space.encode(omega), np.float32)
        np.testing.assert_allclose(again, genotype, rtol=1e-5, atol=1e-6)
        jax.tree.map(lambda one, two: np.testing.assert_allclose(one, two, rtol=1e-5), DECODE[name](again), omega)


def assert_uniform(found: Any, values: Any) -> None:
    counts = np.array([(np.asarray(found) == value).sum() for value in values])
    total, share = counts.sum(), 1 / len(values)
    assert total == len(found)
    deviation = math.sqrt(total * share * (1 - share))
    assert (np.abs(counts - total * share) < 5 * deviation).all(), counts


def test_integers_and_categories_are_drawn_uniformly_ends_included() -> None:
    keys = jax.random.split(jax.random.key(1), 8000)
    for name, expected in (("integer", range(-3, 5)), ("category", range(3))):
        drawn = drawn_omegas(name, keys)
        assert drawn.dtype == np.int32
        for column in drawn.T:
            assert_uniform(column, list(expected))


def test_a_box_is_drawn_uniformly_and_a_log_box_in_its_logarithm() -> None:
    keys = jax.random.split(jax.random.key(2), 8000)
    for name, scale in (("box", lambda x: x), ("log", np.log)):
        space: Any = SPACES[name]
        omega = drawn_omegas(name, keys).astype(float)
        share = (scale(omega) - scale(space.low)) / (scale(space.high) - scale(space.low))
        for column in share.T:
            assert_uniform(np.minimum(np.floor(column * 10), 9), range(10))


def test_integers_are_drawn_in_their_steps_or_their_logarithm() -> None:
    keys = jax.random.split(jax.random.key(1), 8000)
    steps = drawn_omegas("steps", keys)
    assert_uniform(steps, list(range(16, 257, 16)))
    logs = drawn_omegas("log integer", keys)
    assert (logs.min(), logs.max() <= 10**6) == (1, True)
    # From 0.5 to 10⁶ + 0.5, each integer has the logarithm of what is rounded to it.
    share = np.mean(logs == 1), np.mean(logs <= 1000)
    np.testing.assert_allclose(share, np.log([3.0, 2001.0]) / np.log(2e6 + 1), atol=5 * 0.5 / 16000**0.5)


def test_beyond_a_single_bound_half_of_a_normal_distribution_is_drawn() -> None:
    drawn = drawn_omegas("one bound", jax.random.split(jax.random.key(3), 8000))
    above, below, free, between = drawn.T
    assert (above.min() >= 0.5, below.max() <= -3.0, between.min() >= 2.0, between.max() <= 3.0) == (True,) * 4
    half = math.sqrt(2 / math.pi)
    found = [above.mean() - 0.5, (-3.0 - below.mean()) / 10.0, np.abs(free).mean()]
    np.testing.assert_allclose(found, half, rtol=0.05)


def test_equal_bounds_make_a_constant_that_is_not_searched() -> None:
    space = SPACES["a constant"]
    assert space.size == 2
    omegas = drawn_omegas("a constant", jax.random.split(jax.random.key(0), 9))
    assert (omegas[:, 1] == 1.0).all()
    assert len(np.unique(omegas[:, 0])) == 9
    whole = Box((2,), 3.0, 3.0)
    assert (whole.size, whole.decode(whole.start(jax.random.key(0))).tolist()) == (0, [3.0, 3.0])


def test_an_unbounded_box_is_drawn_normally_in_its_scale() -> None:
    omega = drawn_omegas("unbounded", jax.random.split(jax.random.key(3), 8000))
    assert omega.shape == (8000, 2, 2)
    np.testing.assert_allclose(np.mean(omega, axis=0), 0.0, atol=5 * 3.0 / 8000**0.5)
    np.testing.assert_allclose(np.std(omega, axis=0), 3.0, rtol=0.05)


@every_space
def test_mutated_genotypes_are_valid_and_differ(name: str) -> None:
    space, count = SPACES[name], 400
    keys = jax.random.split(jax.random.key(4), 2 * count)
    parents = SAMPLE[name](keys[:count])

    mutate = jax.jit(lambda *given: jax.vmap(space.mutate, (0, 0, None, None))(*given))

    def share_changed(rate: float, scale: float) -> Any:
        children = np.asarray(mutate(keys[count:], parents, rate, scale))
        assert_inside(space, children)
        return children != np.asarray(parents)

    if name == "single":
        assert not share_changed(1.0, 0.1).any()
        return
    assert share_changed(1.0, 0.1).all()
    assert (share_changed(0.0, 5.0).sum(axis=1) == 1).all()  # never a plain copy
    if space.size > 2:
        assert 0.3 < share_changed(0.5, 0.1).mean() < 0.75


def test_a_mutated_category_is_any_other_equally_likely() -> None:
    space = Categorical(5)
    keys = jax.random.split(jax.random.key(5), 4000)
    mutate = jax.jit(jax.vmap(space.mutate, (0, None)))
    for start in (0, 2, 4):
        found = mutate(keys, np.full(1, start, np.float32))
        assert_uniform(np.asarray(found)[:, 0], [other for other in range(5) if other != start])


def test_a_mutated_integer_steps_by_one_at_least_and_further_with_the_scale() -> None:
    space, keys = Integer(0, 100), jax.random.split(jax.random.key(6), 1000)

    mutate = jax.jit(jax.vmap(lambda key, scale: space.mutate(key, jnp.full((1,), 50.0), 1.0, scale), (0, None)))

    def steps(scale: float) -> Any:
        return np.abs(np.asarray(mutate(keys, scale)) - 50.0)

    assert (steps(1e-6) == 1.0).all()
    assert 0.05 * 101 < steps(0.1).mean() < 0.11 * 101  # E|N(0, 0.1)| is 0.08 of the range


def test_an_integer_in_its_logarithm_steps_in_parts_of_itself() -> None:
    space, keys = Integer(1, 10**6, log=True), jax.random.split(jax.random.key(6), 1000)

    mutate = jax.jit(jax.vmap(lambda key, parent, scale: space.mutate(key, parent, 1.0, scale), (0, None, None)))

    def children(parent: float, scale: float) -> Any:
        return np.asarray(mutate(keys, np.full(1, parent, np.float32), scale))[:, 0]

    for parent in (1.0, 2.0, 1e6):
        assert (np.abs(children(parent, 1e-9) - parent) == 1.0).all()
    for parent in (1e2, 1e4):
        factor = np.abs(np.log(children(parent, 0.05) / parent))
        np.testing.assert_allclose(factor.mean(), 0.05 * math.log(1e6) * math.sqrt(2 / math.pi), rtol=0.1)


def test_a_child_has_each_coordinate_of_either_parent() -> None:
    space = SPACES["dict"]
    first, second = jnp.zeros(space.size), jnp.ones(space.size)
    keys = jax.random.split(jax.random.key(7), 1000)
    children = np.asarray(jax.jit(jax.vmap(lambda key: space.crossover(key, first, second)))(keys))
    assert set(np.unique(children)) == {0.0, 1.0}
    np.testing.assert_allclose(children.mean(axis=0), 0.5, atol=5 * 0.5 / 1000**0.5)
    assert abs(np.corrcoef(children[:, 0], children[:, 1])[0, 1]) < 0.2


def test_a_unit_is_the_range_its_logarithm_or_the_scale() -> None:
    for space, start, there in (
        (Box((), -4.0, 4.0, start=0.0), 0.0, 0.8),
        (Box((), 1e-4, 1.0, log=True, start=1e-2), 1e-2, 1e-2 * 10**0.4),
        (Box((), scale=5.0, start=2.0), 2.0, 2.5),
        (Box((), 0.0, 100.0, scale=5.0, start=2.0), 2.0, 2.5),
        (Box((2,), low=-1.0, scale=[5.0, 1.0], start=2.0), [2.0, 2.0], [2.5, 2.1]),
        (Box((), low=1.0, log=True, scale=5.0, start=2.0), 2.0, 2.0 * math.exp(0.5)),
        (Integer(10, 50, step=10, start=20), 20, 20),
        (Integer(1, 9, (2,), log=True, start=[3, 1]), [3, 1], [3, 1]),
        (Categorical(["a", "b"], start=1), 1, 1),
        (Categorical(["a", "b", "c"], (3,), start=["c", "a", "b"]), [2, 0, 1], [2, 0, 1]),
    ):
        genotype = space.start(jax.random.key(0))
        np.testing.assert_allclose(space.decode(genotype), start, rtol=1e-6)
        np.testing.assert_allclose(space.decode(genotype + 0.1), there, rtol=1e-5)


def test_an_array_is_started_and_shaped_as_given() -> None:
    start = np.arange(6.0).reshape(2, 3)
    omega = Box((2, 3), start=start).decode(Box((2, 3), start=start).start(jax.random.key(0)))
    np.testing.assert_array_equal(omega, start)
    half = Box((2,), 0.0, 1.0, dtype=jnp.bfloat16)
    assert half.decode(jnp.full((2,), 0.5)).dtype == jnp.bfloat16
    assert Categorical(["x", "y"]).choices == ("x", "y")
    assert Integer(0, 3, (2, 2)).decode(jnp.arange(4.0)).tolist() == [[0, 1], [2, 3]]


def test_types_follow_the_switch_unless_given() -> None:
    jax.config.update("jax_enable_x64", True)
    try:
        for space, expected in (
            (Box((2,)), np.float64),
            (Box((2,), dtype=jnp.float32), np.float32),
            (Like(np.zeros(2, np.float32)), np.float32),
        ):
            genotype = space.sample(jax.random.key(0))
            assert genotype.dtype == np.float64
            assert space.decode(genotype).dtype == expected
            assert space.mutate(jax.random.key(1), genotype).dtype == np.float64
    finally:
        jax.config.update("jax_enable_x64", False)


def test_like_gives_back_a_pytree_of_the_same_shapes_types_and_values() -> None:
    template = {"b": jnp.arange(3.0), "a": (jnp.full((2, 2), 0.5, jnp.bfloat16), np.float32(7.0))}
    space = Like(template)
    assert space.size == 8
    for omega in (space.decode(space.start(jax.random.key(0))), space.decode(space.encode(template))):
        assert jax.tree.structure(omega) == jax.tree.structure(template)
        for one, other in zip(jax.tree.leaves(omega), jax.tree.leaves(template), strict=True):
            assert (one.shape, one.dtype) == (np.shape(other), jnp.result_type(other))
            np.testing.assert_array_equal(one, other)


def test_like_draws_around_its_values_or_from_its_function() -> None:
    keys = jax.random.split(jax.random.key(0), 4000)
    around = jax.vmap(Like(jnp.asarray([3.0, -3.0]), scale=0.5).sample)(keys)
    np.testing.assert_allclose(np.mean(around, axis=0), [3.0, -3.0], atol=5 * 0.5 / 4000**0.5)
    np.testing.assert_allclose(np.std(around, axis=0), 0.5, rtol=0.08)

    drawn = Like(lambda key: {"w": jax.random.uniform(key, (2,), minval=4.0, maxval=5.0)})
    for method in (drawn.sample, drawn.start):
        found = np.asarray(jax.vmap(method)(keys))
        assert found.min() >= 4.0
        assert found.max() <= 5.0
        assert len(np.unique(found)) > 1000
    np.testing.assert_array_equal(drawn.start(keys[0]), jax.random.uniform(keys[0], (2,), minval=4.0, maxval=5.0))


def test_dict_takes_its_parts_as_keywords_too() -> None:
    space = Dict({"rate": Box(())}, units=Integer(1, 64))
    assert list(space.spaces) == ["rate", "units"]
    with pytest.raises(ConfigurationError, match="Dict expects a name once, got rate both"):
        Dict({"rate": Box(())}, rate=Box(()))


def test_dict_keeps_the_order_given_and_nests() -> None:
    inner = Dict({"z": Integer(5, 6), "y": Box((2,), 10.0, 20.0, start=12.0)})
    space = Dict({"m": Box((), 100.0, 200.0, start=150.0), "c": inner, "a": Categorical(3)})
    assert space.size == 5
    assert not space.continuous
    assert list(space.spaces) == ["m", "c", "a"]
    genotype = jnp.concatenate([jnp.asarray([1.25, 6.0]), jnp.asarray([1.5, 1.75]), jnp.asarray([2.0])])
    omega = space.decode(space.repair(genotype))
    assert list(omega) == ["m", "c", "a"]
    assert list(omega["c"]) == ["z", "y"]
    assert (float(omega["m"]), int(omega["c"]["z"]), omega["c"]["y"].tolist(), int(omega["a"])) == (
        125.0, 6, [15.0, 17.5], 2,
    )  # fmt: skip
    started = space.decode(space.start(jax.random.key(0)))
    assert float(started["m"]) == 150.0
    np.testing.assert_allclose(started["c"]["y"], 12.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Box((2,), 1.0, -1.0), "bounds with low <= high in every coordinate, got low=1.0 and high=-1.0"),
        (lambda: Box((2,), [0.0, 2.0], 1.0), "low <= high in every coordinate"),
        (lambda: Box((), math.inf, math.inf), "low <= high"),
        (lambda: Box((), math.nan, 1.0), "to be a number or an array of numbers or None, got nan"),
        (lambda: Box((), "one"), "to be a number or an array of numbers or None, got 'one'"),  # type: ignore[arg-type]
        (lambda: Box((), 0.0, 1.0, log=True), "low > 0, got low=0.0; the logarithm is defined only there"),
        (lambda: Box((), log=True), "low > 0, got low=None"),
        (lambda: Box((2,), scale=[1.0, -1.0]), "scale > 0"),
        (lambda: Box((3,), scale=[1.0, 2.0]), "scale to broadcast to its shape (3,), got shape (2,)"),
        (lambda: Box((2,), [0.0, 1.0], [1.0, 1.0], start=[0.5, 0.5]), "start inside the bounds"),
        (lambda: Box((), start=math.nan), "got nan"),
        (lambda: Box((3,), [0.0, 0.0], 1.0), "low to broadcast to its shape (3,), got shape (2,)"),
        (lambda: Box((), 0.0, 1.0, start=2.0), "start inside the bounds"),
        (lambda: Box((), scale=0.0), "scale > 0"),
        (lambda: Box((), scale=math.nan), "got nan"),
        (lambda: Integer(3, 2), "low <= high, got low=3 and high=2; swap them"),
        (lambda: Integer(0, 2.5), "high (the largest) to be a whole number, got 2.5"),  # type: ignore[arg-type]
        (lambda: Integer(0, 9, step=0), "a whole number of at least 1"),
        (lambda: Integer(0, 9, step=1.5), "a whole number of at least 1"),  # type: ignore[arg-type]
        (lambda: Integer(0, 9, log=True), "low >= 1 and no step, got low=0 and step=1"),
        (lambda: Integer(1, 9, step=2, log=True), "low >= 1 and no step, got low=1 and step=2"),
        (lambda: Integer(0, 9, start=10), "its start among the whole numbers from 0 to 9, got 10"),
        (lambda: Integer(0, 9, start=0.5), "its start among the whole numbers"),
        (lambda: Integer(1, 9, step=4, start=4), "from 1 to 9 in steps of 4, got 4"),
        (lambda: Categorical(["a", "b"], start=2), "indices 0 to 1 of its choices ('a', 'b')"),
        (lambda: Categorical(["a", "b"], start="c"), "or among those that are names, got 'c'"),
        (lambda: Categorical([]), "at least one choice"),
        (lambda: Categorical(["adam", "sgd", "adam"]), "names that differ"),
        (lambda: Categorical(0), "to be a whole number from 1 to 16,777,216 or a list, got 0"),
        (lambda: Like({"n": jnp.arange(3)}), "a pytree of float arrays"),
        (lambda: Like({}), "a pytree of float arrays"),
        (lambda: Dict({}), "of them) for each name"),
        (lambda: Dict({"x": 3}), "instances of VectorSpace or instances of When as values or None, got {'x': 3}"),
        (lambda: Dict(x=3), "{'x': 'int'}"),  # type: ignore[dict-item]
        (lambda: SPACES["dict"].encode({"rate": 0.1}), "a value for each of ['rate', 'depth', 'kind', 'weights'], got"),
        (lambda: SPACES["dict"].encode(0.1), "got ['a float']"),
        (lambda: Like(jnp.ones(3)).encode(jnp.ones(4)), "the structure and the shapes of its template"),
    ],
)
def test_bad_input_is_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        make()


BEGUN = {
    "box": Box((2,), -1.0, 1.0, start=[0.5, 0.25]),
    "network": Like({"w": jnp.ones((2, 2))}),
    "drawn network": Like(lambda key: {"w": 10 + jax.random.normal(key, (2,))}),
    "dict": Dict({"x": Box((), start=3.0), "w": Like({"w": jnp.ones(2)}), "n": Integer(0, 9)}),
    "topology": Topology(2, 1),
}


@pytest.mark.parametrize("name", BEGUN)
def test_without_its_start_a_space_begins_at_a_draw(name: str) -> None:
    space, key = BEGUN[name], jax.random.key(3)
    other = space.without_start().without_start()
    assert type(other) is type(space)
    start, drawn, sample = jax.jit(lambda: (other.start(key), other.sample(key), space.sample(key)))()
    jax.tree.map(np.testing.assert_array_equal, start, sample)
    jax.tree.map(np.testing.assert_array_equal, drawn, sample)
    if name == "box":
        assert space.start(key).tolist() == [0.25, 0.125]  # in units of the range
