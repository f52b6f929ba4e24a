"""The weights of a run that its user does not set: those of the method and its regularizers."""

from collections.abc import Sequence

from tfssvae.checks import check_choice
from tfssvae.core import SemiSupervisedVAE
from tfssvae.weights import Weight

KINDS = ("recommended", "paper", "none")


def default_weights(
    method: type[SemiSupervisedVAE],
    regularizers: Sequence,
    num_labelled: int,
    num_unlabelled: int,
    num_pixels: int,
    steps: int,
    kind: str = "recommended",
) -> dict[str, Weight]:
    """Return the weights of a run of so many steps on such data.

    Args:
        method: a class of METHODS.
        regularizers: of the model; a warm-up of theirs lasts as long as the run.
        num_labelled: labelled examples of the data set.
        num_unlabelled: unlabelled examples of the data set.
        num_pixels: values of one example.
        steps: optimizer steps of the whole run.
        kind: "recommended", "paper", or "none" (1, but for what `default_weights` of the parts
            says).

    Raises:
        InputError: the kind is unknown.
    """
    check_choice(kind, KINDS, "default_weights")
    weights: dict[str, Weight] = {}
    for regularizer in regularizers:
        weights.update(regularizer.recommended_weights(steps))
    if kind == "recommended":
        weights.update(method.recommended_weights(num_labelled, num_unlabelled, num_pixels, steps))
    elif kind == "paper" and num_labelled:
        weights.update(method.paper_weights(num_labelled, num_unlabelled))
    return weights
