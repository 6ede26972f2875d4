"""Architectures: cells, activations and topologies.

==========================  ==============================================
file                        holds
==========================  ==============================================
:mod:`architecture_search`  cells, trained
:mod:`architecture_table`   cells, looked up in ``architecture_table.npz``
:mod:`learned_activation`   an activation as a formula
:mod:`xor`                  a topology for exclusive or
==========================  ==============================================
"""
