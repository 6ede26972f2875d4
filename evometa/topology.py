"""Growing networks: the space that strategies search when ω is a topology together with its weights.

A genotype is a list of connection genes and a list of hidden nodes, in arrays of fixed length, so that networks of all
shapes are bred and run by one compiled program. Genes carry *historical markings* (Stanley & Miikkulainen, "Evolving
neural networks through augmenting topologies", 2002): two genes match when they come from the same structural change.
The paper numbers changes by a global counter; here a marking is computed from the change itself. The marking of a
connection is a hash of the nodes that it joins, that of a hidden node a hash of the connection that it split. So the
same change has the same marking in every genotype and every process, with no table to share.

A hidden node stands somewhere between the two ends of the connection that it split, inputs at 0 and outputs at 1, and
connections only lead upwards: all networks are feed-forward, those of a crossing too.
"""

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError
from evometa.genes import Genome, choose, drawn, marking_of, same, with_gene
from evometa.growing_network import Network
from evometa.space import Space
from evometa.types import Key, Scalar


class Topology(Space):
    """Feed-forward networks that start without hidden nodes and grow; ω is a :class:`~evometa.growing_network.Network`.

    Args:
        inputs: of a network, not counting the bias, which is a node that is always 1.
        outputs: of a network.
        max_hidden: H, hidden nodes at most.
        max_connections: C, connection genes at most, disabled ones included; None: four for each hidden node, beside
            those of the smallest network.
        add_node: chance of a mutation to split a connection by a new node.
        add_connection: chance of a mutation to connect two nodes that are not.
        replaced: share of the changed weights that are drawn anew rather than moved.
        weight_scale: standard deviation of weights that are drawn, the unit of a weight's change.
        max_weight: weights stay between this and its negative; far larger ones would make steps of all sigmoids.

    Raises:
        ConfigurationError: sizes that leave no room for the smallest network, or chances outside [0, 1].
    """

    branches = True

    def __init__(
        self,
        inputs: int,
        outputs: int,
        max_hidden: int = 8,
        max_connections: int | None = None,
        *,
        add_node: float = 0.03,
        add_connection: float = 0.05,
        replaced: float = 0.1,
        weight_scale: float = 1.0,
        max_weight: float = 3.0,
    ) -> None:
        least = (inputs + 1) * outputs
        most = least + 4 * max_hidden if max_connections is None else max_connections
        if inputs < 1 or outputs < 1 or max_hidden < 0 or most < least:
            raise ConfigurationError(
                "Topology expects at least one input and output, and room for a connection of each input and the bias "
                f"with each output, got inputs={inputs}, outputs={outputs}, max_hidden={max_hidden} and "
                f"max_connections={max_connections}; it needs max_connections >= {least}."
            )
        chances = {"add_node": add_node, "add_connection": add_connection, "replaced": replaced}
        if not all(0 <= chance <= 1 for chance in chances.values()) or add_node + add_connection > 1:
            raise ConfigurationError(
                f"Topology expects chances from 0 to 1, add_node and add_connection 1 together at most, got {chances}."
            )
        if not 0 < weight_scale <= max_weight < float("inf"):
            raise ConfigurationError(
                f"Topology expects 0 < weight_scale <= max_weight, both finite, got {weight_scale} and {max_weight}."
            )
        self.inputs, self.outputs, self.max_hidden, self.max_connections = inputs, outputs, max_hidden, most
        self.add_node, self.add_connection, self.replaced = add_node, add_connection, replaced
        self.weight_scale, self.max_weight = weight_scale, max_weight
        self._fixed = inputs + 1 + outputs

    def start(self, key: Key) -> Genome:
        """Return a draw."""
        return self.sample(key)

    def sample(self, key: Key) -> Genome:
        """Return the smallest network, each input and the bias connected with each output, its weights drawn."""
        hidden, genes, count = self.max_hidden, self.max_connections, (self.inputs + 1) * self.outputs
        ends = np.zeros((2, genes), np.int32)
        grid = np.meshgrid(np.arange(self.inputs + 1), self.inputs + 1 + np.arange(self.outputs))
        ends[:, :count] = np.reshape(grid, (2, count))
        there = np.arange(genes) < count
        markings = marking_of(jnp.asarray(1 + ends[0], jnp.uint32), jnp.asarray(1 + ends[1], jnp.uint32))
        return Genome(
            jnp.zeros(hidden, jnp.uint32),
            jnp.zeros(hidden, jnp.result_type(float)),
            jnp.where(there, markings, 0),
            jnp.asarray(ends[0]),
            jnp.asarray(ends[1]),
            jnp.where(there, self._drawn(key, (genes,)), 0.0),
            jnp.asarray(there),
        )

    def repair(self, genotype: Genome) -> Genome:
        """Return the genotype: all that this space makes is valid."""
        return genotype

    def decode(self, genotype: Genome) -> Network:
        """Turn genes into weights between nodes in the order in which they are computed."""
        there = genotype.node > 0
        order = jnp.argsort(jnp.where(there, genotype.position, 2.0))
        sources = jnp.concatenate([jnp.arange(self.inputs + 1), self._fixed + order])
        targets = jnp.concatenate([self._fixed + order, self.inputs + 1 + jnp.arange(self.outputs)])
        weight = jnp.where(genotype.enabled, genotype.weight, 0.0).astype(jnp.float32)
        comes = (genotype.source[:, None] == sources).astype(jnp.float32)
        leads = (genotype.target[:, None] == targets).astype(jnp.float32)
        weights = jnp.matmul((leads * weight[:, None]).T, comes, precision=jax.lax.Precision.HIGHEST)
        hidden = self.max_hidden
        return Network(weights[:hidden], weights[hidden:], jnp.sum(there, dtype=jnp.int32))

    def mutate(self, key: Key, genotype: Genome, rate: float = 1.0, scale: float = 0.1) -> Genome:
        """Return a changed copy: by a new node, a new connection, or other weights.

        Args:
            key: random key.
            genotype: one genotype.
            rate: chance in [0, 1] of each weight to change, where weights do; one does in any case.
            scale: standard deviation of a weight's change, in units of ``weight_scale``.
        """
        key_kind, key_node, key_connection, key_weights = jax.random.split(key, 4)
        kind = jax.random.uniform(key_kind)
        child = self._weights(key_weights, genotype, rate, scale)
        grown = self._connected(key_connection, genotype)
        child = choose((kind < self.add_node + self.add_connection) & grown[0], grown[1], child)
        if self.max_hidden:
            split = self._split(key_node, genotype)
            child = choose((kind < self.add_node) & split[0], split[1], child)
        return child

    def _weights(self, key: Key, genome: Genome, rate: float, scale: float) -> Genome:
        key_which, key_one, key_step, key_new, key_value = jax.random.split(key, 5)
        genes, dtype = (self.max_connections,), genome.weight.dtype
        there = genome.innovation > 0
        which = jax.random.bernoulli(key_which, rate, genes) & there
        which = which | (~which.any() & drawn(key_one, there))
        moved = genome.weight + scale * self.weight_scale * jax.random.normal(key_step, genes, dtype)
        fresh = self._drawn(key_value, genes)
        changed = jnp.where(jax.random.bernoulli(key_new, self.replaced, genes), fresh, moved)
        changed = jnp.clip(changed, -self.max_weight, self.max_weight)
        return genome._replace(weight=jnp.where(which, changed, genome.weight))

    def _drawn(self, key: Key, shape: tuple[int, ...] = ()) -> jax.Array:
        weights = self.weight_scale * jax.random.normal(key, shape, jnp.result_type(float))
        return jnp.clip(weights, -self.max_weight, self.max_weight)

    def _nodes(self, genome: Genome) -> tuple[jax.Array, jax.Array]:
        """Return the marking and the position of every node ``[N]``; marking 0 where there is none."""
        fixed = jnp.arange(1, self._fixed + 1, dtype=jnp.uint32)
        stands = jnp.asarray(np.arange(self._fixed) > self.inputs, genome.position.dtype)
        return jnp.concatenate([fixed, genome.node]), jnp.concatenate([stands, genome.position])

    def _connected(self, key: Key, genome: Genome) -> tuple[Scalar, Genome]:
        """Return whether two nodes could be connected that were not, and the genome in which they are."""
        key_pair, key_weight = jax.random.split(key)
        marking, position = self._nodes(genome)
        count = len(marking)
        there = genome.innovation > 0
        comes = (genome.source[:, None] == jnp.arange(count)) & there[:, None]
        leads = genome.target[:, None] == jnp.arange(count)
        joined = jnp.matmul(comes.T.astype(jnp.float32), leads.astype(jnp.float32)) > 0
        free = (marking > 0)[:, None] & (marking > 0) & (position[:, None] < position) & ~joined
        pair = jnp.argmax(drawn(key_pair, free.ravel()))
        source, target = (pair // count).astype(jnp.int32), (pair % count).astype(jnp.int32)
        weight = self._drawn(key_weight)
        grown = with_gene(genome, marking_of(marking[source], marking[target]), source, target, weight)
        return free.any() & ~there.all(), grown

    def _split(self, key: Key, genome: Genome) -> tuple[Scalar, Genome]:
        """Return whether a connection could be split by a new node, and the genome in which it is."""
        marking, position = self._nodes(genome)
        there = genome.innovation > 0
        new = marking_of(genome.innovation, jnp.uint32(0))
        low, high = position[genome.source], position[genome.target]
        # Not in the middle: two nodes that split connections of the same ends can be connected with each other.
        stands = low + (high - low) * (0.25 + 0.5 * new.astype(low.dtype) * 2.0**-32)
        once = ~(new[:, None] == genome.node).any(axis=1)
        free = genome.enabled & there & once & (low < stands) & (stands < high)
        gene, place = jnp.argmax(drawn(key, free)), jnp.argmin(genome.node > 0)
        number = (self._fixed + place).astype(jnp.int32)
        source, target, weight = genome.source[gene], genome.target[gene], genome.weight[gene]
        grown = genome._replace(
            node=genome.node.at[place].set(new[gene]),
            position=genome.position.at[place].set(stands[gene]),
            enabled=genome.enabled.at[gene].set(False),
        )
        # Weight 1 before the new node and the old one behind it, so that the network changes little.
        grown = with_gene(grown, marking_of(marking[source], new[gene]), source, number, jnp.ones_like(weight))
        grown = with_gene(grown, marking_of(new[gene], marking[target]), number, target, weight)
        return free.any() & (genome.node == 0).any() & (jnp.sum(~there) >= 2), grown

    def crossover(self, key: Key, first: Genome, second: Genome) -> Genome:
        """Return a child with the genes of the first; of those that the second has too, the weights of either.

        A connection that is disabled in either is disabled in the child with chance 3/4. For NEAT, the first is the
        fitter of the two.
        """
        key_weight, key_enabled = jax.random.split(key)
        genes = first.innovation.shape
        matches = same(first, second)
        matched = matches.any(axis=1)
        other = jnp.argmax(matches, axis=1)
        take = matched & jax.random.bernoulli(key_weight, 0.5, genes)
        both = first.enabled & (second.enabled[other] | ~matched)
        return first._replace(
            weight=jnp.where(take, second.weight[other], first.weight),
            enabled=(both | jax.random.bernoulli(key_enabled, 0.25, genes)) & (first.innovation > 0),
        )

    def distance(self, first: Genome, second: Genome) -> tuple[Scalar, Scalar]:
        """Return how many genes only one of the two has, and the mean difference of the weights of the others."""
        matches = same(first, second)
        matched = matches.any(axis=1)
        count = jnp.sum(matched)
        apart = jnp.abs(first.weight - second.weight[jnp.argmax(matches, axis=1)])
        only = jnp.sum(first.innovation > 0) + jnp.sum(second.innovation > 0) - 2 * count
        mean = jnp.sum(jnp.where(matched, apart, 0.0)) / jnp.maximum(count, 1)
        return only.astype(apart.dtype), mean
