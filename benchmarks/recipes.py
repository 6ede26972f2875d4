"""What ``evometa run NAME`` comes to for every built-in problem that has a recipe, beside what its docstring states.

Each row is one problem, searched as the command line does it: the recipe's strategy, its settings and its limits, all
else by default. Held out is the result that the search selects, its mean over seeds ± the standard error. Seconds are
those of a whole run; "of which compiling" is what XLA took to compile, as JAX's monitoring reports it, with JAX's
persistent cache off (tracing is not in it). The last column has the sentences of the problem's docstring that begin
with "Measured", "Our result" or "Ours", or speak of minutes; where it is empty, compare with the docstring by hand.

    python benchmarks/recipes.py --keep recipes.json            # continues where it was interrupted
    python benchmarks/recipes.py --keep recipes.json --problems Sinusoid Bandit --seeds 1
"""

import argparse
import functools
import re
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _measure import Kept, parse_arguments, print_table, standard_error

import evometa as em
from evometa import problems, strategies
from evometa.problem import BaseProblem


class Compiling:
    """Counts the seconds that XLA compiles in this process."""

    def __init__(self) -> None:
        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._count)

    def _count(self, event: str, seconds: float, **_: Any) -> None:
        if event.endswith("/backend_compile_duration"):
            self.seconds += seconds


def with_recipe() -> dict[str, type[BaseProblem]]:
    """Return the built-in problems that have a recipe, by the name of their class."""
    classes = {name: getattr(problems, name) for name in problems.__all__}
    return {
        name: cls
        for name, cls in classes.items()
        if isinstance(cls, type) and issubclass(cls, BaseProblem) and cls.card is not None and cls.card.recipe
    }


def stated(cls: type[BaseProblem]) -> str:
    """Return the sentences of a docstring that state a measured result, if there are any."""
    text = " ".join((cls.__doc__ or "").partition("Args:")[0].split())
    sentences = re.split(r"(?<=[.;])\s+(?=[A-Z])", text)
    states = re.compile(r"(Measured|Our results?|Ours)\b|.*\bminutes?\b")
    return " ".join(one for one in sentences if states.match(one))


def measure(cls: Any, seed: int, limits: dict[str, Any], compiling: Compiling) -> dict[str, Any]:
    """Search once by the recipe and return what came of it."""
    recipe, problem = cls.card.recipe, cls()
    begun, compiled = time.perf_counter(), compiling.seconds
    strategy = getattr(strategies, recipe.strategy)(**recipe.settings)
    result = em.Search(problem, strategy, seed=seed, progress=False).run(**(limits or recipe.limits))
    genotype = jax.eval_shape(problem.space.sample, jax.random.key(0))
    return {
        "held_out": float(result.selected_held_out),
        "fitness": float(result.selected_fitness),
        "seconds": time.perf_counter() - begun,
        "compiling": compiling.seconds - compiled,
        "generations": result.generations,
        "size": sum(leaf.size for leaf in jax.tree.leaves(genotype)),
        "failed": result.failed,
    }


def spread(values: list[float]) -> str:
    """Return the mean, with the standard error of several; nothing where there is no such value."""
    if np.isnan(values).all():
        return ""
    return f"{np.mean(values):.4g}" + (f" ± {standard_error(values):.2g}" if len(values) > 1 else "")


def main() -> None:
    """Search by every recipe and print the table."""
    classes = with_recipe()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=sorted(classes), default=sorted(classes))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--generations", type=int, help="in place of the recipe's limits")
    parser.add_argument("--keep", type=Path, help="a JSON file for what was measured, to continue later")
    arguments = parse_arguments(parser, "--problems Sphere --seeds 1 --generations 2")
    jax.config.update("jax_enable_compilation_cache", False)
    limits = {"generations": arguments.generations} if arguments.generations else {}
    kept, compiling, rows = Kept(arguments.keep), Compiling(), []
    for name in arguments.problems:
        runs = []
        for seed in range(arguments.seeds):
            label = f"{name} seed={seed}" + (f" generations={arguments.generations}" if limits else "")
            search = functools.partial(measure, classes[name], seed, limits, compiling)
            runs.append(kept.get_or(label, search))
            jax.clear_caches()
        column = {key: [run[key] for run in runs] for key in runs[0]}
        means = {key: float(np.mean(values)) for key, values in column.items()}
        row = [name, len(runs), spread(column["held_out"]), spread(column["fitness"]), f"{means['seconds']:.0f}"]
        row += [f"{means['compiling']:.1f}", f"{means['generations']:,.0f}", f"{runs[0]['size']:,}"]
        rows.append([*row, f"{means['failed']:,.0f}", stated(classes[name])])
    header = ["problem", "seeds", "held-out", "on training tasks", "seconds", "of which compiling", "generations"]
    print_table([*header, "numbers in ω", "failed candidates", "stated by the docstring"], rows)


if __name__ == "__main__":
    main()
