"""One file per method. METHODS is the registry: a new method is one file and one line here."""

from importlib import import_module

from tfssvae.registry import Registry

METHODS = Registry(
    "METHODS",
    {
        "vae": "tfssvae.models.vae:VAE",
        "m1": "tfssvae.models.m1:M1",
        "m2": "tfssvae.models.m2:M2",
        "m1m2": "tfssvae.models.m1m2:M1M2",
        "adgm": "tfssvae.models.adgm:ADGM",
        "sdgm": "tfssvae.models.adgm:SDGM",
        "lvae": "tfssvae.models.lvae:LVAE",
        "shot_vae": "tfssvae.models.shot_vae:ShotVAE",
        "exon": "tfssvae.models.exon:EXoN",
        "parted_vae": "tfssvae.models.parted_vae:PartedVAE",
        "untapped": "tfssvae.models.untapped:Untapped",
        "cagem": "tfssvae.models.cagem:CaGeM",
    },
)

__all__ = ["METHODS", "register", *METHODS.class_names()]


def register() -> None:
    """Import whatever a saved model may hold, so that `keras.saving.load_model` finds it.

    `import keras, tfssvae` does this. A script that imports tfssvae before Keras calls it before it
    loads a model: Keras would otherwise say that it "could not locate" the class.
    """
    from tfssvae.regularizers import REGULARIZERS

    METHODS.import_all()
    REGULARIZERS.import_all()
    for module in ("tfssvae.models.supervised", "tfssvae.schedules"):
        import_module(module)


def __getattr__(name: str):
    return METHODS.attribute(name)
