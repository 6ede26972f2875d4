"""The space of growing networks, in which the topology is searched together with the weights (neuroevolution).

A genotype is a list of connection genes and a list of hidden nodes, in arrays of fixed length, so that one compiled
program evolves and evaluates networks of all shapes. Genes carry *historical markings* (Stanley & Miikkulainen,
"Evolving neural networks through augmenting topologies", 2002): two genes match if they come from the same structural
mutation. The paper numbers these mutations by a global counter; here a marking is a hash of the mutation itself: of the
two nodes that a connection joins, or of the connection that a hidden node split. So the same mutation has the same
marking in every genotype and every process, without a shared table.

Every node has a position: inputs at 0, outputs at 1, and a hidden node between the ends of the connection that it
split. Connections to larger positions are used within a step; without ``recurrent`` there are no others, so all
networks are feed-forward, also after crossover. Connections to smaller or equal positions carry the value of the step
before. Where one of these is split, the new node lies before its target, so that the delay stays one step.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError
from evometa.settings import Chance, Count, Natural, Positive
from evometa.spaces import Space
from evometa.topology.genome import Genome, choose_one, marking_of, matching_genes, normal_of, select, with_gene
from evometa.topology.network import Network, Output, OutputActivation, RecurrentNetwork
from evometa.types import Key, Scalar


class Topology(Space):
    """Networks that grow from no hidden nodes; ω is a :class:`~evometa.topology.Network`.

    With ``recurrent`` above 0, for tasks with memory, it is a :class:`~evometa.topology.RecurrentNetwork`.

    Args:
        inputs: number of inputs, without the bias, which is a node of constant value 1.
        outputs: number of outputs.
        max_hidden: H, the largest number of hidden nodes.
        max_connections: C, the largest number of connection genes, disabled ones included; None: four for each hidden
            node, in addition to those of the smallest network.
        add_node: probability that a mutation splits a connection by a new node.
        add_connection: probability that a mutation connects two unconnected nodes.
        replaced: share of the mutated weights that are drawn anew instead of perturbed.
        weight_scale: standard deviation of initial and new weights, and the unit of a weight's perturbation.
        max_weight: weights are clipped to [-max_weight, max_weight]; much larger ones turn sigmoids into steps.
        output_activation: of the outputs: "sigmoid" from 0 to 1, "tanh" from -1 to 1, or "identity". Hidden nodes have
            the sigmoid.
        recurrent: probability that a new connection leads back, to a node that is not computed later than where it
            starts, and carries the value of the step before; 0: feed-forward networks.

    Raises:
        ConfigurationError: sizes too small for the smallest network, probabilities outside [0, 1], or weights that are
            not ``0 < weight_scale <= max_weight``; an unknown output_activation.
    """

    branches = True

    def __init__(
        self,
        inputs: Count,
        outputs: Count,
        max_hidden: Natural = 8,
        max_connections: Count | None = None,
        *,
        add_node: Chance = 0.03,
        add_connection: Chance = 0.05,
        replaced: Chance = 0.1,
        weight_scale: Positive = 1.0,
        max_weight: Positive = 3.0,
        output_activation: OutputActivation = "sigmoid",
        recurrent: Chance = 0.0,
    ) -> None:
        smallest = (inputs + 1) * outputs
        limit = smallest + 4 * max_hidden if max_connections is None else max_connections
        if limit < smallest:
            raise ConfigurationError(
                f"Topology expects max_connections >= {smallest}, room for a connection of each input and the "
                f"bias with each output, got {max_connections}."
            )
        if add_node + add_connection > 1:
            raise ConfigurationError(
                f"Topology expects add_node and add_connection to be at most 1 together, got {add_node} and "
                f"{add_connection}."
            )
        if weight_scale > max_weight:
            raise ConfigurationError(
                f"Topology expects weight_scale <= max_weight, got {weight_scale} and {max_weight}."
            )
        self.inputs, self.outputs, self.max_hidden, self.max_connections = inputs, outputs, max_hidden, limit
        self.add_node, self.add_connection, self.replaced = add_node, add_connection, replaced
        self.weight_scale, self.max_weight = weight_scale, max_weight
        self.output_activation: OutputActivation = output_activation
        self.recurrent = recurrent
        self._fixed = inputs + 1 + outputs

    def start(self, key: Key) -> Genome:
        """Return a draw of the smallest network."""
        return self.sample(key)

    def sample(self, key: Key) -> Genome:
        """Draw the weights of the smallest network, in which each input and the bias connect to each output."""
        hidden, genes, count = self.max_hidden, self.max_connections, (self.inputs + 1) * self.outputs
        ends = np.zeros((2, genes), np.int32)
        grid = np.meshgrid(np.arange(self.inputs + 1), self.inputs + 1 + np.arange(self.outputs))
        ends[:, :count] = np.reshape(grid, (2, count))
        used = np.arange(genes) < count
        markings = marking_of(jnp.asarray(1 + ends[0], jnp.uint32), jnp.asarray(1 + ends[1], jnp.uint32))
        return Genome(
            jnp.zeros(hidden, jnp.uint32),
            jnp.zeros(hidden, jnp.result_type(float)),
            jnp.where(used, markings, 0),
            jnp.asarray(ends[0]),
            jnp.asarray(ends[1]),
            jnp.where(used, self._weight(jax.random.normal(key, (genes,), jnp.result_type(float))), 0.0),
            jnp.asarray(used),
        )

    def repair(self, genotype: Genome) -> Genome:
        """Return the genotype as it is: everything that this space generates is valid."""
        return genotype

    def decode(self, genotype: Genome) -> Network | RecurrentNetwork:
        """Decode genes to weight matrices, with the hidden nodes in the order in which they are computed."""
        used = genotype.node > 0
        order = jnp.argsort(jnp.where(used, genotype.position, 2.0))
        sources = jnp.concatenate([jnp.arange(self.inputs + 1), self._fixed + order])
        targets = jnp.concatenate([self._fixed + order, self.inputs + 1 + jnp.arange(self.outputs)])
        weight = jnp.where(genotype.enabled, genotype.weight, 0.0).astype(jnp.float32)
        from_source = (genotype.source[:, None] == sources[None]).astype(jnp.float32)
        to_target = (genotype.target[:, None] == targets[None]).astype(jnp.float32)
        hidden, nodes = self.max_hidden, jnp.sum(used, dtype=jnp.int32)

        def matrix(weight: jax.Array, from_source: jax.Array) -> jax.Array:
            return jnp.matmul((to_target * weight[:, None]).T, from_source, precision=jax.lax.Precision.HIGHEST)

        if not self.recurrent:
            weights = matrix(weight, from_source)
            return Network(weights[:hidden], weights[hidden:], nodes, Output(self.output_activation))
        _, position = self._nodes(genotype)
        within = position[genotype.source] < position[genotype.target]
        now = matrix(jnp.where(within, weight, 0.0), from_source)
        sources = jnp.concatenate([self._fixed + order, self.inputs + 1 + jnp.arange(self.outputs)])
        before = (genotype.source[:, None] == sources[None]).astype(jnp.float32)
        back = matrix(jnp.where(within, 0.0, weight), before)
        return RecurrentNetwork(
            now[:hidden], now[hidden:], back[:hidden], back[hidden:], nodes, Output(self.output_activation)
        )

    def encode(self, omega: Any) -> Genome:
        """Return a genome as it is; a network alone has lost the markings by which genomes are crossed.

        Raises:
            ConfigurationError: it is no genome of this space.
        """
        like = jax.eval_shape(self.sample, jax.eval_shape(jax.random.key, 0))
        shapes = [leaf.shape for leaf in jax.tree.leaves(like)]
        if not isinstance(omega, Genome) or [np.shape(leaf) for leaf in jax.tree.leaves(omega)] != shapes:
            raise ConfigurationError(
                "Topology expects its start as a Genome of the space, such as sample or mutate return, since a network "
                f"alone does not say which of its genes match those of others, got {type(omega).__name__}."
            )
        return omega

    def mutate(self, key: Key, genotype: Genome, rate: float = 1.0, scale: float = 0.1) -> Genome:
        """Return a mutated copy: a new node, a new connection, or changed weights.

        Where there is no room for a new node or connection, weights change.

        Args:
            key: random key.
            genotype: one genotype.
            rate: probability in [0, 1] of each weight to change in a weight mutation; at least one changes.
            scale: standard deviation of a weight's perturbation, in units of ``weight_scale``.
        """
        # All in one draw, since each compiles to a loop of its own.
        genes, nodes = self.max_connections, self._fixed + self.max_hidden
        draws = jax.random.uniform(key, (3 + 4 * genes + nodes**2,), jnp.result_type(float))
        (kind, back, weight), changes, gene, pair = jnp.split(draws, np.cumsum([3, 3 * genes, genes]))
        child = self._mutate_weights(changes.reshape(3, genes), genotype, rate, scale)
        possible, connected = self._add_connection(back, pair, self._weight(normal_of(weight)), genotype)
        child = select((kind < self.add_node + self.add_connection) & possible, connected, child)
        if self.max_hidden:
            possible, split = self._add_node(gene, genotype)
            child = select((kind < self.add_node) & possible, split, child)
        return child

    def _mutate_weights(self, draws: jax.Array, genome: Genome, rate: float, scale: float) -> Genome:
        changes, replaces, normal = draws[0], draws[1] < self.replaced, normal_of(draws[2])
        used = genome.innovation > 0
        mask = (changes < rate) & used
        mask = mask | (~mask.any() & used & (jnp.arange(len(used)) == choose_one(changes, used)))
        moved = genome.weight + scale * self.weight_scale * normal
        changed = jnp.where(replaces, self._weight(normal), jnp.clip(moved, -self.max_weight, self.max_weight))
        return genome._replace(weight=jnp.where(mask, changed, genome.weight))

    def _weight(self, normal: jax.Array) -> jax.Array:
        """Return the new weights that normal draws stand for."""
        return jnp.clip(self.weight_scale * normal, -self.max_weight, self.max_weight)

    def _nodes(self, genome: Genome) -> tuple[jax.Array, jax.Array]:
        """Return the marking and the position of every node, ``[N]``; the marking is 0 for an unused place."""
        markings = jnp.arange(1, self._fixed + 1, dtype=jnp.uint32)
        positions = jnp.asarray(np.arange(self._fixed) > self.inputs, genome.position.dtype)
        return jnp.concatenate([markings, genome.node]), jnp.concatenate([positions, genome.position])

    def _add_connection(
        self, leads_back: Scalar, priorities: jax.Array, weight: Scalar, genome: Genome
    ) -> tuple[Scalar, Genome]:
        """Return whether another connection is possible, and the genome with it.

        Args:
            leads_back: a uniform draw, which decides whether it leads back.
            priorities: ``[N * N]``, of its source and target.
            weight: its weight.
            genome: the genome.
        """
        marking, position = self._nodes(genome)
        count = len(marking)
        used = genome.innovation > 0
        from_source = (genome.source[:, None] == jnp.arange(count)) & used[:, None]
        to_target = genome.target[:, None] == jnp.arange(count)
        joined = jnp.matmul(from_source.T.astype(jnp.float32), to_target.astype(jnp.float32)) > 0
        free = (marking > 0)[:, None] & (marking > 0) & (position[:, None] < position) & ~joined
        if self.recurrent:
            back = (marking > 0)[:, None] & (position > 0) & (position[:, None] >= position) & ~joined
            free = jnp.where(leads_back < self.recurrent, back, free)
        source, target = jnp.divmod(choose_one(priorities, free.ravel()), count)
        connected = with_gene(genome, marking_of(marking[source], marking[target]), source, target, weight)
        return free.any() & ~used.all(), connected

    def _add_node(self, priorities: jax.Array, genome: Genome) -> tuple[Scalar, Genome]:
        """Return whether a connection can be split by a new node, and the genome in which it is split.

        Args:
            priorities: ``[C]``, of the connections.
            genome: the genome.
        """
        marking, position = self._nodes(genome)
        used = genome.innovation > 0
        new = marking_of(genome.innovation, jnp.uint32(0))
        low, high = position[genome.source], position[genome.target]
        if self.recurrent:
            low = jnp.where(low < high, low, 0.0)
        # Not exactly in the middle, so that nodes which split connections between the same levels can be connected.
        between = low + (high - low) * (0.25 + 0.5 * new.astype(low.dtype) * 2.0**-32)
        unsplit = ~(new[:, None] == genome.node).any(axis=1)
        free = genome.enabled & used & unsplit & (low < between) & (between < high)
        gene, place = choose_one(priorities, free), jnp.argmin(genome.node > 0)
        here, number = jnp.arange(self.max_hidden) == place, (self._fixed + place).astype(jnp.int32)
        source, target, weight = genome.source[gene], genome.target[gene], genome.weight[gene]
        split = genome._replace(
            node=jnp.where(here, new[gene], genome.node),
            position=jnp.where(here, between[gene], genome.position),
            enabled=genome.enabled & (jnp.arange(self.max_connections) != gene),
        )
        # Weight 1 into the new node and the old weight out of it, so that the network changes little.
        split = with_gene(split, marking_of(marking[source], new[gene]), source, number, jnp.ones_like(weight))
        split = with_gene(split, marking_of(new[gene], marking[target]), number, target, weight)
        return free.any() & (genome.node == 0).any() & (jnp.sum(~used) >= 2), split

    def crossover(self, key: Key, first: Genome, second: Genome) -> Genome:
        """Return a child with the genes of the first parent; matching genes take the weight of either parent.

        A connection that is disabled in either parent is disabled in the child with probability 3/4. In NEAT the first
        parent is the fitter one.
        """
        weight, enabled = jax.random.uniform(key, (2, self.max_connections))
        matched, other_weight, other_enabled = matching_genes(first, second)
        both = first.enabled & (other_enabled | ~matched)
        return first._replace(
            weight=jnp.where(matched & (weight < 0.5), other_weight, first.weight),
            enabled=(both | (enabled < 0.25)) & (first.innovation > 0),
        )

    def distance(self, first: Genome, second: Genome) -> tuple[Scalar, Scalar]:
        """Return the number of genes without a match, and the mean absolute difference of the matching weights."""
        matched, weight, _ = matching_genes(first, second)
        count = jnp.sum(matched)
        only = jnp.sum(first.innovation > 0) + jnp.sum(second.innovation > 0) - 2 * count
        apart = jnp.sum(jnp.where(matched, jnp.abs(first.weight - weight), 0.0))
        return only.astype(apart.dtype), apart / jnp.maximum(count, 1)
