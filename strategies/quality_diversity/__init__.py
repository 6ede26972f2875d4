"""Quality diversity: archives over measures of behaviour.

======================  ============================================
file                    holds
======================  ============================================
:mod:`map_elites`       MAP-Elites, over any space
:mod:`cma_me`           CMA-ME, over real numbers
:mod:`grid`             the grid of cells that both fill
:mod:`least_violating`  parents of MAP-Elites before the first elite
:mod:`cma_emitter`      one emitter of CMA-ME
======================  ============================================
"""
