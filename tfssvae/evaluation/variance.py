"""Whether a setting matters: analysis of variance over repeated runs."""

from collections.abc import Mapping, Sequence

import scipy.stats

from tfssvae.checks import InputError


def one_way_anova(groups: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Test whether groups of runs have one mean (one-way ANOVA; SHOT-VAE, table 4).

    Args:
        groups: setting -> a figure of each of its runs; two settings at least, and more runs than
            settings.

    Returns:
        "f" and "p": the statistic, and how often chance alone gives one as large.

    Raises:
        InputError: there are too few settings or runs.

    >>> round(one_way_anova({"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 4.0]})["p"], 3)
    0.288
    """
    runs = sum(map(len, groups.values()))
    if len(groups) < 2 or runs <= len(groups) or not all(map(len, groups.values())):
        raise InputError(
            "an analysis of variance needs two settings at least and two runs of one of them, got "
            + ", ".join(f"{name}: {len(figures)}" for name, figures in groups.items())
        )
    statistic, p = scipy.stats.f_oneway(*groups.values())
    return {"f": float(statistic), "p": float(p)}
