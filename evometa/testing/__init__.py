"""Contract checks for strategies, problems, environments and executors, the package's own and anybody's.

Call them from a test; they return nothing, and raise :class:`ContractError` with one sentence that says what the
contract asks for and what was found instead::

    from evometa.testing import check_problem_contract, check_strategy

    def test_mine():
        check_strategy(MyStrategy(population_size=8))
        check_problem_contract(MyProblem(num_tasks=2, inner_steps=3))

They compile a handful of small programs, so give them small sizes.

=================== ===============================================
file                holds
=================== ===============================================
:mod:`strategies`   ``check_strategy``
:mod:`asynchronous` ``check_asynchronous_strategy``
:mod:`problems`     ``check_problem_contract``
:mod:`environments` ``check_environment``
:mod:`executors`    ``check_executor``
:mod:`promises`     the error, and comparisons that they use
=================== ===============================================
"""

from evometa.testing.asynchronous import check_asynchronous_strategy
from evometa.testing.environments import check_environment
from evometa.testing.executors import check_executor
from evometa.testing.problems import check_problem_contract
from evometa.testing.promises import ContractError
from evometa.testing.strategies import check_strategy

__all__ = [
    "ContractError",
    "check_asynchronous_strategy",
    "check_environment",
    "check_executor",
    "check_problem_contract",
    "check_strategy",
]
