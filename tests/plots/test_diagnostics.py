from collections.abc import Callable

import numpy as np
import pytest

from evometa import plots
from evometa.errors import ConfigurationError
from evometa.storage.history import History


def run(made: Callable[..., History]) -> History:
    sizes = {"strategy/mean_size": [5.0, 7.0, 9.0], "strategy/best_size": [3.0, 3.0, 11.0]}
    return made(best=[3.0, 2.0, 1.0], **sizes)


def test_each_number_has_a_panel(made: Callable[..., History]) -> None:
    mean, best = plots.diagnostics(run(made), x="evaluations").axes
    assert np.asarray(mean.lines[0].get_xydata()).tolist() == [[10, 5], [20, 7], [30, 9]]
    assert np.asarray(best.lines[0].get_xydata()).tolist() == [[10, 3], [20, 3], [30, 11]]
    assert [axes.get_ylabel() for axes in (mean, best)] == ["mean size", "best size"]
    assert [axes.get_xlabel() for axes in (mean, best)] == ["", "evaluations"]
    (alone,) = plots.diagnostics(run(made), "best_size").axes
    assert alone.get_ylabel() == "best size"


def test_what_never_changes_is_left_out_unless_it_is_asked_for(made: Callable[..., History]) -> None:
    constant = {"strategy/sigma": [0.5, 0.5, 0.5], "strategy/moving": [1.0, 2.0, 3.0]}
    run = made(best=[3.0, 2.0, 1.0], **constant)
    assert list(plots.strategy_diagnostics(run).curves) == ["moving"]
    assert list(plots.strategy_diagnostics(run, "sigma").curves) == ["sigma"]
    alone = made(best=[3.0, 2.0, 1.0], **{"strategy/sigma": [0.5, 0.5, 0.5]})
    assert list(plots.strategy_diagnostics(alone).curves) == ["sigma"]


def test_unknown_numbers_and_runs_without_any_are_refused(made: Callable[..., History]) -> None:
    with pytest.raises(ConfigurationError, match=r"got 'best_siz'\. Nearest: best_size"):
        plots.diagnostics(run(made), "best_siz")
    with pytest.raises(ConfigurationError, match="this one records none"):
        plots.diagnostics(made(best=[1.0]))
