"""Genetic algorithms, for any space.

========================  ===================================
file                      holds
========================  ===================================
:mod:`genetic_algorithm`  tournaments, crossover and mutation
:mod:`aged_evolution`     regularised evolution
========================  ===================================
"""
