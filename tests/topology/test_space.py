"""Growing networks: equal mutations get equal historical markings, and networks compute the function of their genes."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.strategies import GeneticAlgorithm
from evometa.testing import check_strategy
from evometa.topology import Genome, RecurrentNetwork, Topology

SPACE = Topology(2, 1, max_hidden=3, max_connections=16)
GROWING = Topology(2, 1, max_hidden=3, max_connections=16, add_node=0.5, add_connection=0.5)
SPLITTING = Topology(2, 1, max_hidden=3, max_connections=16, add_node=1.0, add_connection=0.0)


sample = jax.jit(SPACE.sample)
distance = jax.jit(SPACE.distance)


def grow(space: Topology, key: int, genome: Genome, times: int) -> Genome:
    @jax.jit
    def grown(genome: Genome) -> Genome:
        keys = jax.vmap(lambda change: jax.random.fold_in(jax.random.key(key), change))(jnp.arange(times))
        return jax.lax.scan(lambda genome, key: (space.mutate(key, genome), None), genome, keys)[0]

    return jax.device_get(grown(genome))


@pytest.fixture(scope="module")
def first() -> Genome:
    return jax.device_get(sample(jax.random.key(0)))


@pytest.fixture(scope="module")
def grown(first: Genome) -> Genome:
    return grow(GROWING, 1, first, 12)


def recursive(genome: Genome, x: list[float]) -> float:
    """Compute the output of a network of two inputs and an output from its genes alone."""

    def value(node: int) -> float:
        if node < 3:
            return [*x, 1.0][node]
        total = sum(
            float(w) * value(int(s))
            for s, t, w, on in zip(genome.source, genome.target, genome.weight, genome.enabled, strict=True)
            if on and int(t) == node
        )
        return 1 / (1 + float(np.exp(-4.9 * total)))

    return value(3)


def test_networks_compute_the_function_of_their_genes(grown: Genome) -> None:
    assert int(np.sum(np.asarray(grown.node) > 0)) == 3
    network = jax.jit(SPACE.decode)(grown)
    for x in ([0.0, 1.0], [0.3, -0.7]):
        found = jax.jit(network.run)(jnp.asarray(x, jnp.float32))
        assert float(found[0]) == pytest.approx(recursive(grown, x), rel=1e-4)


def test_the_same_change_has_the_same_marking_wherever_it_happens(first: Genome) -> None:
    # Many keys split the three connections of a minimal network; there are three markings, whatever the weights.
    others = jax.jit(jax.vmap(SPACE.sample))(jax.random.split(jax.random.key(5), 40))
    split = jax.jit(jax.vmap(SPLITTING.mutate))(jax.random.split(jax.random.key(6), 40), others)
    markings: dict[int, set[tuple[int, ...]]] = {}
    for number in range(40):
        genes = jax.tree.map(lambda leaf, number=number: np.asarray(leaf[number]), split)
        (gene,) = np.flatnonzero(~genes.enabled & (genes.innovation > 0))
        new = tuple(sorted(genes.innovation[3:5].tolist()))
        markings.setdefault(int(gene), set()).add((int(genes.node[0]), *new))
    assert sorted(markings) == [0, 1, 2]
    assert all(len(found) == 1 for found in markings.values())
    assert len(set.union(*markings.values())) == 3


def test_a_split_leaves_the_old_weight_behind_the_new_node(first: Genome) -> None:
    split = jax.device_get(jax.jit(SPLITTING.mutate)(jax.random.key(3), first))
    (gene,) = np.flatnonzero(~split.enabled & (split.innovation > 0))
    assert split.source[3:5].tolist() == [int(first.source[gene]), 4]
    assert split.target[3:5].tolist() == [4, int(first.target[gene])]
    assert split.weight[3:5].tolist() == [1.0, float(first.weight[gene])]
    assert 0 < split.position[0] < 1


def test_a_full_genome_has_its_weights_mutated(grown: Genome) -> None:
    full = grow(SPLITTING, 2, grown, 1)
    np.testing.assert_array_equal(full.innovation, grown.innovation)
    assert np.any(np.asarray(full.weight) != np.asarray(grown.weight))
    assert np.all(np.abs(np.asarray(full.weight)) <= SPACE.max_weight)


def test_a_child_has_the_genes_of_the_first_and_weights_of_both(grown: Genome) -> None:
    other = grow(SPACE, 9, grow(SPLITTING, 8, grow(SPACE, 7, sample(jax.random.key(3)), 3), 1), 3)
    cross = jax.jit(jax.vmap(SPACE.crossover, in_axes=(0, None, None)))
    children = jax.device_get(cross(jax.random.split(jax.random.key(1), 400), grown, other))
    for name in ("node", "position", "innovation", "source", "target"):
        np.testing.assert_array_equal(
            getattr(children, name),
            np.broadcast_to(getattr(grown, name), children[2].shape[:1] + getattr(grown, name).shape),
        )
    theirs = {int(i): float(w) for i, w in zip(other.innovation, other.weight, strict=True) if i}
    on = {int(i): bool(e) for i, e in zip(other.innovation, other.enabled, strict=True) if i}
    for gene, marking in enumerate(np.asarray(grown.innovation).tolist()):
        values = set(children.weight[:, gene].tolist())
        assert values == {float(grown.weight[gene])} | ({theirs[marking]} if marking in theirs else set())
        share, either_off = children.enabled[:, gene].mean(), not (bool(grown.enabled[gene]) and on.get(marking, True))
        expected = 0.0 if not marking else 0.25 if either_off else 1.0
        assert share == pytest.approx(expected, abs=4 * np.sqrt(0.25 * 0.75 / 400) if 0 < expected < 1 else 0)


def test_distance_counts_genes_and_compares_weights(first: Genome) -> None:
    added = np.where(first.innovation > 0, np.arange(16, dtype=np.float32), np.float32(0))
    genes, weights = distance(first, first._replace(weight=first.weight + added))
    assert (float(genes), float(weights)) == (0.0, pytest.approx(1.0, rel=1e-5))  # 0, 1 and 2
    split = grow(SPLITTING, 4, first, 1)
    assert float(distance(first, split)[0]) == 2.0
    assert float(distance(split, first)[0]) == 2.0


def test_connections_lead_to_larger_positions(grown: Genome) -> None:
    position = np.concatenate([np.zeros(3), np.ones(1), np.asarray(grown.position)])
    there = np.asarray(grown.innovation) > 0
    low, high = position[np.asarray(grown.source)[there]], position[np.asarray(grown.target)[there]]
    assert np.all(low < high)
    pairs = list(zip(np.asarray(grown.source)[there].tolist(), np.asarray(grown.target)[there].tolist(), strict=True))
    assert len(pairs) == len(set(pairs))


def test_a_strategy_for_all_spaces_searches_topologies() -> None:
    check_strategy(GeneticAlgorithm(4), SPACE, generations=40)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"inputs": 0}, "to be a whole number of at least 1, got 0"),
        ({"max_connections": 2}, "max_connections >= 3"),
        ({"add_node": 0.8, "add_connection": 0.4}, "to be at most 1 together"),
        ({"weight_scale": 0.0}, "to be a number above 0, got 0.0"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Topology(**{"inputs": 2, "outputs": 1} | settings)


def over_time(space: Topology, genome: Genome, inputs: list[list[float]]) -> list[float]:
    """Compute the outputs of a network of two inputs and an output from its genes alone, step after step."""
    position = [0.0, 0.0, 0.0, 1.0, *map(float, genome.position)]

    def value(node: int, step: int) -> float:
        if step < 0:
            return 0.0
        if node < 3:
            return [*inputs[step], 1.0][node]
        total = sum(
            float(w) * value(int(s), step if position[int(s)] < position[node] else step - 1)
            for s, t, w, on in zip(genome.source, genome.target, genome.weight, genome.enabled, strict=True)
            if on and int(t) == node
        )
        return float(np.tanh(2.45 * total)) if node == 3 else 1 / (1 + float(np.exp(-4.9 * total)))

    return [value(3, step) for step in range(len(inputs))]


def test_recurrent_networks_remember_the_step_before() -> None:
    space = Topology(2, 1, 3, 16, add_node=0.4, add_connection=0.6, recurrent=0.5, output_activation="tanh")
    genome = grow(space, 8, jax.jit(space.sample)(jax.random.key(0)), 16)
    network: Any = jax.jit(space.decode)(genome)
    assert isinstance(network, RecurrentNetwork)
    assert np.count_nonzero(network.hidden_back) > 0
    assert np.count_nonzero(network.output_back) > 0
    inputs = [[0.0, 1.0], [0.3, -0.7], [-1.0, 0.2], [0.1, 0.1]]
    steps = jax.jit(lambda: jax.lax.scan(network.step, network.start(), jnp.asarray(inputs, jnp.float32))[1][:, 0])
    found = steps()
    np.testing.assert_allclose(found, over_time(space, genome, inputs), rtol=1e-4, atol=1e-5)


def test_a_split_of_a_link_back_keeps_its_delay() -> None:
    chances = {"add_node": 0.0, "add_connection": 1.0}, {"add_node": 1.0, "add_connection": 0.0}
    looping, splitting = (Topology(1, 1, 1, 8, recurrent=1.0, **chance) for chance in chances)

    @jax.jit
    def both() -> Any:
        looped = looping.mutate(jax.random.key(1), looping.sample(jax.random.key(0)))
        split = jax.vmap(splitting.mutate, in_axes=(0, None))(jax.random.split(jax.random.key(2), 16), looped)
        which = jnp.argmin(split.enabled[:, 2])  # of the third gene, the loop
        return looping.decode(looped), splitting.decode(jax.tree.map(lambda leaf: leaf[which], split))

    before, after = jax.device_get(both())
    assert before.output_back[0, 1] != 0  # the only link back that there can be: from the output to itself
    np.testing.assert_array_equal(after.hidden_back, [[0.0, 1.0]])
    np.testing.assert_array_equal(after.output_back, [[0.0, 0.0]])
    assert after.output[0, 2] == before.output_back[0, 1]


def test_outputs_are_what_their_activation_says() -> None:
    genome = sample(jax.random.key(0))
    x = jnp.array([0.3, -0.7])

    @jax.jit
    def outputs() -> dict[str, Any]:
        spaces = {name: Topology(2, 1, 3, 16, output_activation=name) for name in ("identity", "sigmoid", "tanh")}
        return {name: space.decode(genome).run(x)[0] for name, space in spaces.items()}

    run = {name: float(value) for name, value in outputs().items()}
    assert run["identity"] == pytest.approx(float(np.array([0.3, -0.7, 1.0]) @ np.asarray(genome.weight[:3])), rel=1e-5)
    assert run["sigmoid"] == pytest.approx(1 / (1 + np.exp(-4.9 * run["identity"])), rel=1e-5)
    assert run["tanh"] == pytest.approx(2 * run["sigmoid"] - 1, rel=1e-4)
    with pytest.raises(ConfigurationError, match="to be 'sigmoid', 'tanh' or 'identity', got 'softmax'"):
        Topology(2, 1, output_activation="softmax")  # type: ignore[arg-type]
