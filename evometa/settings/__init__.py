"""The one check of settings: what users pass to spaces, problems, strategies, objectives and searches.

A setting declares what it expects by its annotation, whose range stands in ``Annotated``::

    population_size: Annotated[int, Range(least=2, even=True)] = 64
    sigma: Positive = 0.3
    hidden: tuple[Count, ...] = (32,)

Classes with the metaclass :class:`Checked` (all of the above, so users' own too) and functions decorated with
:func:`checked` refuse everything else in one sentence, which takes the setting's meaning from the docstring. Numbers of
numpy and JAX become Python's own, which the manifest of a run can hold, and lists become tuples where these are
declared. A setting with a type that is not known here is passed on as it is, and so is what JAX traces.

==================== =====================================================================
file                 holds
==================== =====================================================================
:mod:`ranges`        ``Range``, ``Numbers`` and other rules, and names for the usual ones, such as ``Positive``
:mod:`conversion`    values as an annotation wants them, and annotations in words
:mod:`checked`       ``Checked`` and ``checked``
==================== =====================================================================
"""

from evometa.settings.checked import Checked, checked
from evometa.settings.ranges import (
    Advice,
    Chance,
    Count,
    Decay,
    Finite,
    FloatType,
    Fraction,
    Items,
    Name,
    Natural,
    NonNegative,
    Numbers,
    Pairs,
    Positive,
    Range,
    Several,
    StepSize,
    Total,
)

__all__ = [
    "Advice",
    "Chance",
    "Checked",
    "Count",
    "Decay",
    "Finite",
    "FloatType",
    "Fraction",
    "Items",
    "Name",
    "Natural",
    "NonNegative",
    "Numbers",
    "Pairs",
    "Positive",
    "Range",
    "Several",
    "StepSize",
    "Total",
    "checked",
]
