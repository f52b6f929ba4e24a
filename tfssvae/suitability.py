"""Whether a method can learn from the data that it is given."""

from tfssvae.checks import InputError
from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data


def check_suits(model: SemiSupervisedVAE, data: Data, method: str) -> None:
    """Refuse data of which the method would ignore what it was given for.

    Args:
        model: of the method.
        data: the data set.
        method: its name, for messages.

    Raises:
        InputError: there are labels without examples and the method has no use for them, or every
            example has a label and the method explains those without a label only.
    """
    if data.unfeatured is not None and not any(t.startswith("unfeatured_") for t in model.TERMS):
        raise InputError(
            f'method "{method}" learns nothing from labels without rows: leave unfeatured out, or '
            'use method="untapped"'
        )
    explained = [t for t in model.TERMS if not t.startswith(("unlabelled_", "classification"))]
    if not explained and len(data.unlabelled_indices) == 0:
        raise InputError(
            f'method "{method}" explains the rows without a label, and every row of "{data.name}" '
            "has one: show fewer labels (labels_per_class or label_fraction), or use another method"
        )
