"""Problems: what judges ω; one a file, each naming the branch of meta-learning it stands for.

=============================================  =====================================================
problem                                        branch of meta-learning
=============================================  =====================================================
:class:`Sinusoid`                              learned initialisations and step sizes, few-shot
:class:`DigitsHyperparameters`                 hyperparameter optimisation, by gradient descent
:class:`BoostingHyperparameters`               hyperparameter optimisation, without any gradient
:class:`InfluenceBalancing`                    truncation of long inner training
:class:`Sphere`, :class:`Rosenbrock`,          none: plain optimisation with a known answer
:class:`Ellipsoid`, :class:`Rastrigin`
=============================================  =====================================================

The engine imports none of them; they import only the engine.
"""

from evometa.problems.boosting_hyperparameters import BoostingHyperparameters
from evometa.problems.digits_hyperparameters import DigitsHyperparameters
from evometa.problems.influence_balancing import InfluenceBalancing
from evometa.problems.sinusoid import AdaptationCurves, Sinusoid, adaptation_curves
from evometa.problems.test_functions import Ellipsoid, Rastrigin, Rosenbrock, Sphere

__all__ = [
    "AdaptationCurves",
    "BoostingHyperparameters",
    "DigitsHyperparameters",
    "Ellipsoid",
    "InfluenceBalancing",
    "Rastrigin",
    "Rosenbrock",
    "Sinusoid",
    "Sphere",
    "adaptation_curves",
]
