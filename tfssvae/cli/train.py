"""`tfssvae train`."""

import argparse
from pathlib import Path
from typing import Any

from tfssvae.checks import InputError
from tfssvae.cli.arguments import (
    add_background,
    add_pixel_range,
    assignments,
    background_of,
    not_negative,
    part,
    positive,
    say_of,
)
from tfssvae.models import METHODS
from tfssvae.regularizers import REGULARIZERS

EXAMPLES = """examples:
  tfssvae train m2 --data digits --labels-per-class 10
  tfssvae train m2 --data mnist --labels-per-class 10 --epochs 20 --out runs/mnist
  tfssvae train m2 --data photos/ --set latent_dim=20 --set hidden=(256,256)
  tfssvae train --resume runs/mnist
  tfssvae evaluate runs/mnist --samples 1000
  tfssvae export runs/mnist saved_models/mnist
  tfssvae export runs/mnist saved_models/mnist --tflite float16 dynamic --onnx
"""
AUGMENTATIONS = {
    "flip": "RandomFlip",
    "crop": "RandomCrop",
    "rotation": "RandomRotation",
    "rand_augment": "RandAugment",
}
"""Names of --augment, and the classes of `tfssvae.layers` that they stand for."""


def add(commands) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "train",
        allow_abbrev=False,
        help="train a method and fill a run folder",
        description="Train a method on a data set of which few labels are shown. The run folder "
        "gets the model, the choice of labels, TensorBoard logs, figures, metrics.json and an "
        "exported SavedModel.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings(parser)
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="of labels, weights, order and noise (0)"
    )
    parser.add_argument("--out", type=Path, metavar="RUN", help="run folder (runs/METHOD-DATA)")
    parser.add_argument(
        "--json", action="store_true", help="print JSON, an object a line, instead of text"
    )
    parser.add_argument("--resume", type=Path, metavar="RUN", help="continue an interrupted run")
    parser.set_defaults(run=run, parser=parser)


def add_settings(parser) -> None:
    """Add what describes a run, whatever its seed and folder."""
    parser.add_argument("method", nargs="?", metavar="METHOD", help=f"one of: {', '.join(METHODS)}")
    parser.add_argument(
        "--data",
        metavar="NAME|PATH",
        help="digits (built in), mnist, fashion_mnist, cifar10, cifar100, tfds:NAME, a .npz file "
        "(x_train, y_train, x_test, y_test; label -1 = unlabelled) or a folder "
        "(train/CLASS/*.png, train/unlabelled/*.png, test/CLASS/*.png)",
    )
    labels = parser.add_mutually_exclusive_group()
    labels.add_argument("--labels-per-class", type=int, metavar="N", help="labels shown per class")
    labels.add_argument(
        "--label-fraction", type=float, metavar="F", help="part of the labels shown, e.g. 0.05"
    )
    parser.add_argument(
        "--labelled-classes",
        nargs="+",
        metavar="CLASS",
        help="only these classes (names or numbers) have labels",
    )
    parser.add_argument(
        "--num-classes", type=int, metavar="K", help="number of classes, where the data do not say"
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        help="the rows of these classes alone, numbered anew in this order",
    )
    parser.add_argument(
        "--clusters",
        type=int,
        metavar="K",
        help="groups of images, where more are wanted than there are classes",
    )
    parser.add_argument(
        "--validation",
        type=float,
        default=0,
        metavar="N|F",
        help="training rows held out for validation: a number, or a fraction below 1 (default 0)",
    )
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help="folder with NAME.npz files or tfds data (default $TFSSVAE_DATA)",
    )
    parser.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        help="leave the training images of tfds:NAME, or of tfssvae convert, in their files, or "
        "hold them in memory (default: tfds:NAME where it would take more than half of the free "
        "memory); same results",
    )
    parser.add_argument("--grey", action="store_true", help="convert colour images to grey")
    parser.add_argument(
        "--image-size", type=int, nargs=2, metavar=("H", "W"), help="resize images to H x W pixels"
    )
    add_background(parser)
    add_pixel_range(parser)
    parser.add_argument(
        "--binarize",
        choices=["fixed", "round", "dynamic"],
        help="draw binary images once, round them, or draw them every step",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="passes over the unlabelled rows (default: enough for 400 steps, at least 20)",
    )
    parser.add_argument("--labelled", type=int, metavar="N", help="labelled rows a step (100)")
    parser.add_argument("--unlabelled", type=int, metavar="N", help="unlabelled rows a step (200)")
    parser.add_argument(
        "--unfeatured",
        type=int,
        metavar="N",
        help="labels without images a step, every class as often, for methods that learn from "
        "them: untapped (0)",
    )
    parser.add_argument(
        "--learning-rate", type=float, default=1e-3, metavar="R", help="of Adam (1e-3)"
    )
    parser.add_argument(
        "--driver",
        choices=["loop", "fit"],
        default="loop",
        help="the compiled loop, or Keras's model.fit: same results, the loop is faster",
    )
    parser.add_argument(
        "--precision",
        choices=["float32", "mixed_float16", "mixed_bfloat16"],
        default="float32",
        help="of the networks; heads and losses stay in float32",
    )
    parser.add_argument(
        "--replicas",
        type=positive,
        default=1,
        metavar="N",
        help="GPUs of this machine that share each step, or parts of its CPU where it has none; "
        "the rows of a step are those of all (1)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="ARGUMENT=VALUE",
        help="an argument of the method, e.g. latent_dim=20 or \"weights={'*_kl_z': 2.0}\"; "
        "may be repeated",
    )
    parser.add_argument(
        "--regularizer",
        action="append",
        default=[],
        metavar="NAME[:ARGUMENT=VALUE,...]",
        help=f"a further part of the loss ({', '.join(REGULARIZERS)}), such as mier or "
        "mier:beta=5,gamma=1, beside those of the method's paper; may be repeated. "
        '"--set regularizers=[]" leaves those out',
    )
    parser.add_argument(
        "--augment",
        action="append",
        default=[],
        metavar="NAME[:ARGUMENT=VALUE,...]",
        help=f"random changes of the training images, one after the other "
        f"({', '.join(AUGMENTATIONS)}), such as crop:padding=4; may be repeated",
    )
    parser.add_argument(
        "--checkpoint-seconds",
        type=not_negative,
        default=30.0,
        metavar="T",
        help="time between checkpoints, from which --resume continues (30)",
    )
    parser.add_argument(
        "--checkpoints", type=positive, default=2, metavar="N", help="last checkpoints kept (2)"
    )
    parser.add_argument(
        "--on-divergence",
        choices=["stop", "roll-back"],
        default="stop",
        help="where a term of the loss is no longer finite: stop, or go on from the last "
        "checkpoint with half the learning rate, five times at the most (stop)",
    )


def run(options) -> None:
    """Start a run, or continue one."""
    if options.resume is not None:
        if given := given_beside_resume(options):
            raise InputError(
                f"--resume takes everything else from the run folder: leave out {', '.join(given)}"
            )
        from tfssvae.runs import resume_run

        resume_run(options.resume, say_of(options))
        return
    config = configuration(options, options.seed)
    from tfssvae.runs import start_run

    folder = options.out or _free_folder(options.method, options.data)
    start_run(folder, config, say_of(options))


def configuration(options, seed: int) -> dict[str, Any]:
    """Return what `runs.start_run` takes for the options of `add_settings`.

    Raises:
        InputError: an option is missing or out of range.
    """
    if not options.method or not options.data:
        raise InputError(
            f"name a method ({', '.join(METHODS)}) and --data, such as: "
            "tfssvae train m2 --data digits --labels-per-class 10"
        )
    if options.epochs is not None and options.epochs < 1:
        raise InputError(f"--epochs must be at least 1, got {options.epochs}")
    if options.unfeatured is not None and options.unfeatured < 0:
        raise InputError(f"--unfeatured must not be negative, got {options.unfeatured}")
    if not options.learning_rate > 0:
        raise InputError(f"--learning-rate must be positive, got {options.learning_rate}")
    return {
        "method": options.method,
        "data": {
            "name": options.data,
            "labels_per_class": options.labels_per_class,
            "label_fraction": options.label_fraction,
            "labelled_classes": options.labelled_classes,
            **({} if options.num_classes is None else {"num_classes": options.num_classes}),
            **({} if options.classes is None else {"classes": options.classes}),
            "clusters": options.clusters,
            "validation": _count_or_fraction(options.validation),
            "data_dir": options.data_dir,
            **({} if options.stream is None else {"stream": options.stream}),
            "grey": options.grey,
            "image_size": options.image_size,
            **({"background": background_of(options.background)} if options.background else {}),
            **({} if options.pixel_range is None else {"pixel_range": options.pixel_range}),
            "binarize": options.binarize,
            "seed": seed,
            "unfeatured": "classes" if options.unfeatured else None,
        },
        "model": _model_arguments(options),
        "epochs": options.epochs,
        "labelled": options.labelled,
        "unlabelled": options.unlabelled,
        "unfeatured": options.unfeatured or 0,
        "learning_rate": options.learning_rate,
        "driver": options.driver,
        "precision": options.precision,
        **({"replicas": options.replicas} if options.replicas > 1 else {}),
        "checkpoint_seconds": options.checkpoint_seconds,
        "checkpoints": options.checkpoints,
        "on_divergence": options.on_divergence.replace("-", "_"),
    }


def _model_arguments(options) -> dict:
    arguments = assignments(options.set)
    if options.regularizer:
        import keras

        parts = [part("--regularizer", text, REGULARIZERS) for text in options.regularizer]
        if "regularizers" not in arguments and options.method in METHODS:
            parts = METHODS[options.method].paper_regularizers(**arguments) + parts
            arguments["regularizers"] = []
        arguments["regularizers"] += keras.saving.serialize_keras_object(parts)
    if options.augment:
        import keras

        from tfssvae import layers

        known = {name: getattr(layers, cls) for name, cls in AUGMENTATIONS.items()}
        steps = [part("--augment", text, known) for text in options.augment]
        chain = steps[0] if len(steps) == 1 else layers.Chain(steps)
        arguments["augment"] = keras.saving.serialize_keras_object(chain)
    return arguments


def _count_or_fraction(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _free_folder(method: str, data: str) -> Path:
    """Return runs/METHOD-DATA, or the first runs/METHOD-DATA-N that is free."""
    base = Path("runs") / f"{method}-{Path(data).stem.replace(':', '-') or 'data'}"
    folder, number = base, 2
    while folder.exists():
        folder, number = base.with_name(f"{base.name}-{number}"), number + 1
    return folder


def given_beside_resume(options) -> list[str]:
    """Return the options that differ from their defaults, as users write them."""
    given = []
    for action in options.parser._actions:
        name = action.dest
        if name in ("help", "resume", "json") or getattr(options, name) == action.default:
            continue
        given.append(action.option_strings[0] if action.option_strings else name.upper())
    return given
