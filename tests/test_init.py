import subprocess
import sys

import pytest

import evometa


def test_engine_imports_neither_strategies_nor_problems_nor_a_drawing_library() -> None:
    code = "import sys, evometa; evometa.Search; print(sorted(sys.modules.keys() & set(sys.argv)))"
    unwanted = ["evometa.strategies", "evometa.problems", "evometa.plots", "evometa.testing", "matplotlib", "sklearn"]
    done = subprocess.run([sys.executable, "-c", code, *unwanted], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_subpackages_load_at_first_use() -> None:
    code = "import evometa as em; print(em.strategies.__name__, em.problems.__name__, em.plots.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["evometa.strategies", "evometa.problems", "evometa.plots"]


def test_what_few_strategies_and_problems_need_is_imported_with_them() -> None:
    code = "import sys, evometa.strategies, evometa.problems; print(sorted(sys.modules.keys() & set(sys.argv)))"
    slow = ["evosax", "scipy", "sklearn", "matplotlib", "orbax", "sympy"]
    done = subprocess.run([sys.executable, "-c", code, *slow], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_where_it_is_looked_for() -> None:
    for name in evometa.__all__:
        assert getattr(evometa, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'evometa' has no attribute 'strategy_zoo'"):
        evometa.strategy_zoo  # noqa: B018


def test_dir_lists_every_public_name() -> None:
    assert set(evometa.__all__) <= set(dir(evometa))
