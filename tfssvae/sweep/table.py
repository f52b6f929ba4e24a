"""The trials of a sweep as a table."""

from collections.abc import Sequence
from typing import Any

from tfssvae.sweep.trials import Settings, Trial, ranked

_MOST = 100  # characters of a reason; sweep.json has all


def table(trials: Sequence[Trial], settings: Settings) -> str:
    """Return the trials as Markdown, the best first, then those that failed or are not finished."""
    best_first = ranked(trials, settings)
    others = [trial for trial in trials if trial not in best_first]
    kind = "mean ± standard error" if len(settings.seeds) > 1 else "one seed"
    header = ["trial", *settings.space, f"{settings.objective} ({kind})", "s a run"]
    rows = [_cells(trial, settings) for trial in [*best_first, *others]]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def _cells(trial: Trial, settings: Settings) -> list[str]:
    found = trial.objective(settings.seeds)
    if found is not None:
        result = spread(*found)
    elif trial.failed is not None:
        reason = trial.failed.replace("|", "/")
        # The cause stands at the end of a message.
        result = f"failed: {'...' if len(reason) > _MOST else ''}{reason[-_MOST:]}"
    else:
        result = f"{len(trial.values)} of {len(settings.seeds)} runs"
    seconds = list(trial.seconds.values())
    mean = f"{sum(seconds) / len(seconds):.0f}" if seconds else ""
    arguments = [short(trial.arguments[name]) for name in settings.space]
    return [str(trial.number), *arguments, result, mean]


def spread(mean: float, error: float | None) -> str:
    """Return a mean with its standard error.

    >>> spread(0.91234, 0.01)
    '0.9123 ± 0.0100'
    """
    digits = 4 if abs(mean) < 10 else 2
    shown = f"{mean:.{digits}f}"
    return shown if error is None else f"{shown} ± {error:.{digits}f}"


def short(value: Any) -> str:
    """Return a value for people."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
