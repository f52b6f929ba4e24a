"""Names of models, as figures and reports need them."""


def model_name(model) -> str:
    """Return the method and its regularizers, such as "M2 + MIER"."""
    parts = [model, *getattr(model, "regularizers", ())]
    return " + ".join(type(part).__name__ for part in parts)
