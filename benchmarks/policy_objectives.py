"""Drift functions found by training agents, beside PPO and DPO, in environments that the search never met.

PPO's clipping range and learning rate, and DPO's learning rate, are tuned in the environments of the search, by other
agents than those that are rated. Each seed is one search there, with PPO's learning rate. Then every objective trains
new agents in each environment.

    python benchmarks/policy_objectives.py --keep found.json    # continues where it was interrupted
    python benchmarks/policy_objectives.py --kinds network --seeds 1 --seconds 60
"""

import argparse
import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _measure import Kept, mean_and_error, note, parse_arguments, print_table
from jax.flatten_util import ravel_pytree
from numpy.typing import NDArray

import evometa as em
from evometa.expressions import Program, compile_tree, parse
from evometa.problems import LearnedPolicyObjective, LearnedPolicyObjectiveNetwork
from evometa.problems.policy_objectives.actor_critic import ActorCritic
from evometa.problems.policy_objectives.environment_set import EnvironmentSet
from evometa.problems.policy_objectives.learned_policy_objective import DPO
from evometa.problems.policy_objectives.policy_objective import EPOCHS, MINIBATCHES, PolicyObjective, dpo, ppo
from evometa.problems.policy_objectives.rated_environments import rated_environment

KINDS: dict[str, Any] = {"formula": LearnedPolicyObjective, "network": LearnedPolicyObjectiveNetwork}
UPDATES = {"cart-pole-swing-up": 2.0}
"""How many times as many updates as elsewhere agents have."""
EPISODES = 16


class Objective(NamedTuple):
    """What one program trains agents with: all that any kind of objective needs."""

    kind: str
    formula: Any
    network: Any


def drift(kind: Any, clip: Any, formula: Any, network: Any, ratio: jax.Array, advantage: jax.Array) -> jax.Array:
    """Return the drift of an objective; its kind is its number among PPO, DPO, formula and network."""
    learned = (KINDS["formula"]().valid_drift, formula), (KINDS["network"]().valid_drift, network)
    branches = [lambda ratio, advantage: ppo(ratio, advantage, clip), dpo]
    branches += [functools.partial(function, omega) for function, omega in learned]
    found: jax.Array = jax.lax.switch(kind, branches, ratio, advantage)
    return found


@functools.partial(jax.jit, static_argnums=0)
def ratings(
    names: tuple[str, ...], at: Any, updates: Any, kind: Any, formula: Any, network: Any, settings: Any, keys: Any
) -> jax.Array:
    """Return the ratings of agents in the environment at a place, ``[settings, N]``, of clips and rates, any number."""
    problem, rated = LearnedPolicyObjectiveNetwork(), [rated_environment(name) for name in names]
    place = EnvironmentSet(tuple(each.environment for each in rated))
    untrained, good = jnp.array([each[1:] for each in rated])[at]

    def trained(clip: Any, rate: Any, key: Any) -> Any:
        trainer = ActorCritic(place, problem.hidden, problem.copies, problem.rollout, EPOCHS, MINIBATCHES, rate)
        key_begin, key_updates, key_score = jax.random.split(key, 3)

        def update(number: Any, learner: Any) -> Any:
            own = functools.partial(drift, kind, clip, formula, network)
            return trainer.update(at, jax.random.fold_in(key_updates, number), learner, own)

        learner = jax.lax.fori_loop(0, updates, update, trainer.begin(at, key_begin))
        return (trainer.score(at, key_score, learner, EPISODES) - untrained) / (good - untrained)

    return jax.lax.map(lambda setting: jax.vmap(functools.partial(trained, *setting))(keys), tuple(settings))


def rate_agents(
    name: str, objective: Objective, settings: list[tuple[float, float]], seed: int, arguments: argparse.Namespace
) -> NDArray[Any]:
    """Return the ratings of agents, ``[settings, agents]``, of pairs of clipping range and learning rate."""
    names = (*arguments.training, *arguments.held_out)
    found = ratings(
        names,
        names.index(name),
        round(UPDATES.get(name, 1) * arguments.updates),
        ["PPO", "DPO", *KINDS].index(objective.kind),
        objective.formula,
        objective.network,
        jnp.asarray(settings, jnp.float32).T,
        jax.random.split(jax.random.key(seed), arguments.agents),
    )
    return np.asarray(jax.block_until_ready(found))


def best(
    names: list[str], objective: Objective, settings: list[tuple[float, float]], arguments: argparse.Namespace
) -> tuple[float, float]:
    """Return the setting with the best mean rating in some environments, of twice as many agents, and other ones."""
    found = [rate_agents(name, objective, settings, seed, arguments).mean(axis=1) for name in names for seed in (0, 1)]
    return settings[int(np.argmax(np.mean(found, axis=0)))]


def searched(problem: PolicyObjective, seed: int, arguments: argparse.Namespace) -> Any:
    """Return what a search selects, as text or as a list of numbers."""
    recipe = problem.card.recipe  # type: ignore[union-attr]
    assert recipe is not None
    settings = {**recipe.settings, **({"population_size": arguments.population} if arguments.population else {})}
    strategy = getattr(em.strategies, recipe.strategy)(**settings)
    limits = {"generations": arguments.generations} if arguments.generations else {"seconds": arguments.seconds}
    search = em.Search(problem, strategy, seed=seed, progress=False, validation_tasks=arguments.validation_tasks)
    result = search.run(**limits)
    note(f"{result.generations} generations, rating {result.selected_fitness:.3f}")
    omega = result.selected_omega
    return str(omega) if isinstance(omega, Program) else np.asarray(ravel_pytree(omega)[0]).tolist()


def read(problem: Any, found: Any) -> Any:
    """Return the ω that text or a list of numbers stands for."""
    if isinstance(found, str):
        return compile_tree(problem.space.primitives, parse(problem.space.primitives, found, problem.max_size))
    return problem.space.decode(jnp.asarray(found))


def main() -> None:
    """Search, rate, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=240.0, help="of one search")
    parser.add_argument("--generations", type=int, help="of one search, in place of seconds")
    parser.add_argument("--population", type=int, help="in place of the recipe's")
    parser.add_argument("--validation-tasks", type=int, default=8)
    parser.add_argument("--agents", type=int, default=10)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--training", nargs="+", default=["CartPole-v1", "Pendulum-v1"])
    held_out = ["navigation", "cart-pole-swing-up", "Reacher-misc", "Acrobot-v1"]
    parser.add_argument("--held-out", nargs="+", default=held_out)
    parser.add_argument("--clips", nargs="+", type=float, default=[0.05, 0.1, 0.2, 0.3, 0.5])
    parser.add_argument("--rates", nargs="+", type=float, default=[0.004, 0.008, 0.016, 0.032, 0.064])
    parser.add_argument("--keep", type=Path, help="a JSON file for what was found, to continue later")
    arguments = parse_arguments(
        parser,
        "--kinds network --seeds 1 --generations 1 --population 2 --validation-tasks 1 --agents 2 --updates 2 "
        "--training navigation --held-out navigation --clips 0.2 --rates 0.003",
    )
    kept, places = Kept(arguments.keep), [*arguments.training, *arguments.held_out]
    blank = {kind: cls().space.decode(cls().space.start(jax.random.key(0))) for kind, cls in KINDS.items()}
    ppo_, dpo_ = Objective("PPO", **blank), Objective("DPO", **blank)
    grid = [(clip, rate) for clip in arguments.clips for rate in arguments.rates]
    rates = [(0.0, rate) for rate in arguments.rates]

    def tuned(names: list[str], objective: Objective, settings: list[tuple[float, float]]) -> tuple[float, float]:
        label = f"{objective.kind} in {' and '.join(names)}"
        return tuple(kept.get_or(label, lambda: list(best(names, objective, settings, arguments))))

    clip, rate = tuned(arguments.training, ppo_, grid)
    _, rate_of_dpo = tuned(arguments.training, dpo_, rates)
    objectives = [
        (f"PPO, clip {clip:g}, rate {rate:g}", ppo_, dict.fromkeys(places, (clip, rate))),
        (f"DPO, rate {rate_of_dpo:g}", dpo_, dict.fromkeys(places, (0.0, rate_of_dpo))),
    ]
    for kind in arguments.kinds:
        environments = tuple(arguments.training)
        problem = KINDS[kind](environments=environments, learning_rate=rate, inner_steps=arguments.updates)
        for seed in range(arguments.seeds):
            label = f"{kind} seed={seed} rate={rate} limit={arguments.generations or arguments.seconds}"
            found = kept.get_or(label, functools.partial(searched, problem, seed, arguments))
            objective = Objective(kind, **{**blank, kind: read(problem, found)})
            objectives.append((f"{kind}, seed {seed}", objective, dict.fromkeys(places, (clip, rate))))
            if isinstance(found, str):
                print(f"{kind}, seed {seed}: {found}\n")
    print(f"DPO: {DPO}\n")
    rows, means = [], []
    for label, objective, settings in objectives:
        found = [rate_agents(name, objective, [settings[name]], 2, arguments)[0] for name in places]
        note(f"{label}: {[f'{each.mean():.3f}' for each in found]}")
        rows.append([label, *(mean_and_error(each, digits=2) for each in found)])
        means.append([each.mean() for each in found])
    first = len(arguments.training)
    for kind in arguments.kinds:
        of_kind = np.array([mean for mean, row in zip(means, objectives, strict=True) if row[1].kind == kind])
        better = int((of_kind.mean(axis=0) > means[0])[first:].sum())
        rows.append([f"{kind}, mean of seeds", *(mean_and_error(each, digits=2) for each in of_kind.T)])
        best_seed = int(np.argmax(of_kind[:, :first].mean(axis=1)))
        better_best = int((of_kind[best_seed] > means[0])[first:].sum())
        print(
            f"{kind}: above PPO in {better} of {len(arguments.held_out)} held-out environments on average; seed "
            f"{best_seed}, the best in the environments of the search, in {better_best}\n"
        )
    print(f"Rating of {arguments.agents} agents; the first {len(arguments.training)} environments are the search's\n")
    print_table(["objective", *places], rows)


if __name__ == "__main__":
    main()
