"""Strategies, the meta-optimizers. One strategy a file, all behind the contract of :mod:`evometa.strategy`.

============================  ======================================================================================
:class:`BIPOPCMAES`           CMAES with restarts, large and small populations in turn: many local optima
:class:`IPOPCMAES`            CMAES with restarts, each with twice the population: many local optima in one valley
:class:`CMAES`                full covariance: the first choice up to a few hundred real numbers
:class:`OpenAIES`             isotropic noise and a gradient optimizer: network weights, noisy fitness
:class:`PGPE`                 a standard deviation per coordinate and normalised steps: network weights
:class:`SNES`                 natural gradient with a standard deviation per coordinate: many separable real numbers
:class:`SepCMAES`             CMA-ES with a diagonal covariance: thousands of real numbers, little correlated
:class:`LMMAES`               a low-rank covariance: thousands of real numbers, ridges and valleys
:class:`CRFMNES`              a scale for each coordinate and one direction: thousands of real numbers, the fastest
:class:`CMAwM`                CMA-ES for real numbers mixed with integers and categories
:class:`LearnedES`            recombination and rates by networks that were found by evolution: few evaluations
:class:`XNES`                 natural gradient with full covariance: few real numbers
:class:`AgedEvolution`        regularised evolution over any space, by its mutation
:class:`GeneticAlgorithm`     tournaments, crossover and mutation over any space
:class:`Reinforce`            a policy over integers and categories, trained by policy gradient
:class:`GeneticProgramming`   expressions, evaluated where they behave in a new way: losses, update rules, formulas
:class:`NEAT`                 networks that grow, in species: topologies with their weights
:class:`PBIL`                 a table of probabilities over integers and categories
:class:`NRES`                 truncated unrolls, unbiased; the noise is kept for an episode: long inner training
:class:`PES`                  truncated unrolls, unbiased; the noise is summed over windows: long inner training
:class:`TruncatedES`          truncated unrolls, biased towards short horizons: the baseline of those two
:class:`FullES`               the same estimator on whole inner training: their unbiased, slow baseline
:class:`PBT`                  one training run of a population, whose hyperparameters become a schedule
:class:`Gradient`             the gradient through inner training, where there is one: comparison and warm start
:class:`Restarts`             any strategy, restarted at a random point when it stops or no longer improves
:class:`Reevaluated`          any strategy, each candidate evaluated several times: noise
:class:`Averaged`             any strategy with a center, averaged over generations: noise
:class:`UHCMAES`              CMAES that measures the noise of the ranks and adapts the number of evaluations to it
:class:`AugmentedLagrangian`  any continuous strategy with a center: inequality constraints
:class:`NSGA2`                several objectives at once, with constraints: a Pareto front
:class:`CMAME`                several CMA-ES that fill an archive over measures of behaviour: real numbers
:class:`MAPElites`            an archive over measures of behaviour, filled by varying elites: any space
:class:`Evosax`               algorithms of evosax by name, such as differential evolution: real vectors
:class:`OptunaTPE`            Optuna's model of good candidates, for dear plain-Python problems: a baseline
:class:`PyCMA`                CMA-ES of the package pycma, for plain-Python problems: a baseline
:class:`RandomSearch`         independent draws from any space: the baseline to beat
============================  ======================================================================================

:class:`Optimizer` is the gradient optimizer of those that take gradient steps.

Each family has a folder; ``shared`` holds what several families use.
"""

from evometa.strategies.cma.cmaes import CMAES
from evometa.strategies.cma.cmaes_margin import CMAwM
from evometa.strategies.cma.lmmaes import LMMAES
from evometa.strategies.cma.restarted_cmaes import BIPOPCMAES, IPOPCMAES
from evometa.strategies.cma.sep_cmaes import SepCMAES
from evometa.strategies.discrete.pbil import PBIL
from evometa.strategies.discrete.reinforce import Reinforce
from evometa.strategies.es.crfmnes import CRFMNES
from evometa.strategies.es.learned_es import LearnedES
from evometa.strategies.es.openai_es import OpenAIES
from evometa.strategies.es.pgpe import PGPE
from evometa.strategies.es.snes import SNES
from evometa.strategies.es.windowed import NRES, PES, FullES, TruncatedES
from evometa.strategies.es.xnes import XNES
from evometa.strategies.evosax_adapter import Evosax
from evometa.strategies.genetic.aged_evolution import AgedEvolution
from evometa.strategies.genetic.genetic_algorithm import GeneticAlgorithm
from evometa.strategies.gradient import Gradient
from evometa.strategies.multi_objective.nsga2 import NSGA2
from evometa.strategies.optuna_tpe import OptunaTPE
from evometa.strategies.pbt import PBT
from evometa.strategies.pycma import PyCMA
from evometa.strategies.quality_diversity.cma_me import CMAME
from evometa.strategies.quality_diversity.map_elites import MAPElites
from evometa.strategies.random_search import RandomSearch
from evometa.strategies.shared.optimizer import Optimizer
from evometa.strategies.structures.genetic_programming import GeneticProgramming
from evometa.strategies.structures.neat import NEAT
from evometa.strategies.wrappers.augmented_lagrangian import AugmentedLagrangian
from evometa.strategies.wrappers.averaged import Averaged
from evometa.strategies.wrappers.reevaluated import Reevaluated
from evometa.strategies.wrappers.restarts import Restarts
from evometa.strategies.wrappers.uh_cmaes import UHCMAES

__all__ = [
    "BIPOPCMAES",
    "CMAES",
    "CMAME",
    "CRFMNES",
    "IPOPCMAES",
    "LMMAES",
    "NEAT",
    "NRES",
    "NSGA2",
    "PBIL",
    "PBT",
    "PES",
    "PGPE",
    "SNES",
    "UHCMAES",
    "XNES",
    "AgedEvolution",
    "AugmentedLagrangian",
    "Averaged",
    "CMAwM",
    "Evosax",
    "FullES",
    "GeneticAlgorithm",
    "GeneticProgramming",
    "Gradient",
    "LearnedES",
    "MAPElites",
    "OpenAIES",
    "Optimizer",
    "OptunaTPE",
    "PyCMA",
    "RandomSearch",
    "Reevaluated",
    "Reinforce",
    "Restarts",
    "SepCMAES",
    "TruncatedES",
]
