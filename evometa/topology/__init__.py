"""Topologies as ω: networks that grow, with their weights.

A space like the others (:mod:`evometa.spaces`), searched by :class:`evometa.strategies.NEAT`.

==============  ================================================================
file            holds
==============  ================================================================
:mod:`space`    ``Topology``, the space: drawing, mutating and crossing networks
:mod:`genome`   the genes of nodes and links, and their historical markings
:mod:`network`  ``Network`` and ``RecurrentNetwork``, the decoded networks, as matrices
==============  ================================================================
"""

from evometa.topology.genome import Genome
from evometa.topology.network import Network, RecurrentNetwork
from evometa.topology.space import Topology

__all__ = ["Genome", "Network", "RecurrentNetwork", "Topology"]
