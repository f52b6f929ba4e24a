"""The arguments of the next trial.

A suggestion is a function of the seed, the number of the trial and the results before it, for a
new sampler with a seed of its own makes each: nothing of the tuner has to outlive the process.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfssvae.checks import InputError
from tfssvae.library_errors import install_hint
from tfssvae.sweep.space import Choices, Range, Space

SAMPLERS = ("tpe", "random", "grid")
_ATTEMPTS = 50  # to find arguments that were not tried
_DIGITS = 4  # of a sampled number: enough to choose with, few enough to read and type

Result = tuple[Mapping[str, Any], float | None]
"""The arguments of a trial and its objective, None where it failed."""


def check_installed(sampler: str) -> None:
    """Refuse a sampler whose package is not installed.

    Raises:
        InputError: naming what to install.
    """
    if sampler == "grid":
        return
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise InputError(
            f"--sampler {sampler} needs optuna (a --grid alone, without --trials, does not): "
            f"{install_hint('sweep')}"
        ) from None


def suggest(
    space: Space,
    results: Sequence[Result],
    sampler: str = "tpe",
    seed: int = 0,
    maximize: bool = True,
) -> dict[str, Any]:
    """Return the arguments of trial number `len(results)`.

    Arguments that were tried are drawn again, at most 50 times: the same run would come of them.

    Args:
        space: name -> values.
        results: of all trials before, in their order.
        sampler: "grid": every combination, the last argument fastest; "random": independent draws;
            "tpe": tree-structured Parzen estimator (Bergstra et al., 2011), of all arguments
            together, after 10 random trials.
        seed: of "random" and "tpe".
        maximize: whether a higher objective is better.
    """
    number = len(results)
    if sampler == "grid":
        values = [entry.values for entry in space.values() if isinstance(entry, Choices)]
        return dict(zip(space, list(itertools.product(*values))[number], strict=True))
    tried = [dict(arguments) for arguments, _ in results]
    for attempt in range(_ATTEMPTS):
        drawn = int(np.random.SeedSequence([seed, number, attempt]).generate_state(1)[0])
        found = _draw(space, results, sampler, drawn, maximize)
        if found not in tried:
            break
    return found


def _draw(space: Space, results: Sequence[Result], sampler: str, seed: int, maximize: bool):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {name: _distribution(values) for name, values in space.items()}
    samplers, states = optuna.samplers, optuna.trial.TrialState
    chosen = samplers.RandomSampler if sampler == "random" else samplers.TPESampler
    study = optuna.create_study(
        sampler=chosen(seed=seed), direction="maximize" if maximize else "minimize"
    )
    for arguments, value in results:
        study.add_trial(
            optuna.create_trial(
                state=states.FAIL if value is None else states.COMPLETE,
                value=value,
                params={name: _index(space[name], arguments[name]) for name in space},
                distributions=distributions,
            )
        )
    drawn = study.ask(distributions).params
    return {name: _value(space[name], drawn[name]) for name in space}


def _distribution(values: Choices | Range):
    from optuna import distributions

    if isinstance(values, Choices):
        # Of numbers: optuna stores no lists.
        return distributions.CategoricalDistribution(range(len(values.values)))
    if values.whole:
        return distributions.IntDistribution(int(values.low), int(values.high), log=values.log)
    return distributions.FloatDistribution(values.low, values.high, log=values.log)


def _index(values: Choices | Range, value):
    if isinstance(values, Range):
        return value
    return next(
        n for n, other in enumerate(values.values) if type(other) is type(value) and other == value
    )


def _value(values: Choices | Range, drawn):
    if isinstance(values, Choices):
        return values.values[drawn]
    if values.whole:
        return int(drawn)
    return min(max(float(f"{drawn:.{_DIGITS}g}"), values.low), values.high)
