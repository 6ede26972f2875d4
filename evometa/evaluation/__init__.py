"""Evaluation: how the population of a strategy gets its fitness from a compiled problem.

Between the contracts (problem, strategy) and the search. A strategy names an evaluation plan, and the evaluator that is
registered for it carries it out. A new way to evaluate is one file here.

===========================  ===========================================================
file                         holds
===========================  ===========================================================
:mod:`task_source`           the tasks of a generation and of a validation
:mod:`population_evaluator`  the contract: how the population of a strategy is evaluated
:mod:`full_evaluator`        from scratch, for most strategies
:mod:`windowed_evaluator`    in windows of a long unroll
:mod:`training_evaluator`    population-based training
:mod:`gradient_evaluator`    with the gradient of the fitness
:mod:`carried_learners`      learners carried between generations
:mod:`checks`                shapes and types of a problem, checked before compiling
:mod:`compatibility`         whether a strategy and a problem fit together
===========================  ===========================================================
"""
