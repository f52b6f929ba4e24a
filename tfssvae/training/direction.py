"""Whether a figure of an epoch is to be high or low, as its name has it."""

from tfssvae.checks import InputError


def direction_of(name: str) -> str:
    """Return "maximize" or "minimize".

    >>> direction_of("val_accuracy"), direction_of("val_loss"), direction_of("val_labelled_kl_z")
    ('maximize', 'minimize', 'minimize')

    Raises:
        InputError: the name of a monitor does not say so.
    """
    bare = name.removeprefix("val_")
    if bare.endswith(("accuracy", "_bound")):
        return "maximize"
    if bare.startswith("monitor/"):
        raise InputError(
            f"{name} does not say whether it is to maximize or to minimize: take a figure that "
            "does, such as val_accuracy or val_loss, or give a direction"
        )
    return "minimize"
