"""The command line: `tfssvae` or `python -m tfssvae`.

TensorFlow is imported only by the command that needs it, so that `--help` answers at once.
"""

import argparse
import ast
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfssvae import __version__
from tfssvae.bench import NAMES, bench
from tfssvae.checks import ConversionError, InputError, closest
from tfssvae.models import METHODS
from tfssvae.recipes import TABLES
from tfssvae.regularizers import REGULARIZERS

_EXAMPLES = """examples:
  tfssvae train m2 --data digits --labels-per-class 10
  tfssvae train m2 --data mnist --labels-per-class 10 --epochs 20 --out runs/mnist
  tfssvae train m2 --data photos/ --set latent_dim=20 --set hidden=(256,256)
  tfssvae train --resume runs/mnist
  tfssvae evaluate runs/mnist --samples 1000
  tfssvae export runs/mnist saved_models/mnist
  tfssvae export runs/mnist saved_models/mnist --tflite float16 dynamic --onnx
"""
_INTERRUPTED = 130
_AUGMENTATIONS = {
    "flip": "RandomFlip",
    "crop": "RandomCrop",
    "rotation": "RandomRotation",
    "rand_augment": "RandAugment",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 when it was done, 2 for bad input, 1 for anything else."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        options.run(options)
    except InputError as error:
        return _complain(error, 2)
    except (ConversionError, OSError) as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return _complain("interrupted", _INTERRUPTED)
    return 0


def _complain(error, code: int) -> int:
    print(f"tfssvae: {error}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfssvae",
        description="Semi-supervised variational autoencoders: train, evaluate, sample, export.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tfssvae {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_evaluate(commands)
    _add_sample(commands)
    _add_report(commands)
    _add_export(commands)
    _add_serve(commands)
    _add_reproduce(commands)
    _add_convert(commands)
    _add_bench(commands)
    return parser


def _add_train(commands) -> None:
    parser = commands.add_parser(
        "train",
        allow_abbrev=False,
        help="train a method and fill a run folder",
        description="Train a method on a data set of which few labels are shown. The run folder "
        "gets the model, the choice of labels, TensorBoard logs, figures, metrics.json and an "
        "exported SavedModel.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    parser.add_argument("--grey", action="store_true", help="convert colour images to grey")
    parser.add_argument(
        "--image-size", type=int, nargs=2, metavar=("H", "W"), help="resize images to H x W pixels"
    )
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
        "--seed", type=int, default=0, metavar="S", help="of labels, weights, order and noise (0)"
    )
    parser.add_argument("--out", type=Path, metavar="RUN", help="run folder (runs/METHOD-DATA)")
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
        f"({', '.join(_AUGMENTATIONS)}), such as crop:padding=4; may be repeated",
    )
    parser.add_argument(
        "--checkpoint-seconds",
        type=_not_negative,
        default=30.0,
        metavar="T",
        help="time between checkpoints, from which --resume continues (30)",
    )
    parser.add_argument("--resume", type=Path, metavar="RUN", help="continue an interrupted run")
    parser.set_defaults(run=_train)


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text}")
    return value


def _add_evaluate(commands) -> None:
    parser = commands.add_parser(
        "evaluate",
        allow_abbrev=False,
        help="measure a trained run on its test data",
        description="Print accuracy, error, calibration and bounds of a run's model on the test "
        "data, per-class recall included.",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument(
        "--samples",
        type=int,
        default=0,
        metavar="N",
        help="also estimate log p(x) with N importance samples per image",
    )
    parser.add_argument(
        "--inception-score",
        type=Path,
        metavar="RUN",
        help="also give the Inception Score of 10,000 generated images, as many of every class, "
        "judged by the classifier of this other run",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the samples (0)")
    parser.set_defaults(run=_evaluate)


def _png(text: str) -> Path:
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"must end in .png, got {text}")
    return Path(text)


def _add_sample(commands) -> None:
    parser = commands.add_parser(
        "sample",
        allow_abbrev=False,
        help="draw images of every class",
        description="Write a picture of images generated by a run's model: a row per class, the "
        "same style down each column.",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--out", type=_png, required=True, metavar="PNG", help="the picture")
    parser.add_argument("--per-class", type=int, default=8, metavar="N", help="images a row (8)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the styles (0)")
    parser.set_defaults(run=_sample)


def _add_report(commands) -> None:
    parser = commands.add_parser(
        "report",
        allow_abbrev=False,
        help="write one HTML page with the figures and pictures of a run",
        description="Write a page that needs no other file: settings, test figures, learning "
        "curves, information and entropy during training, confusion, calibration, a map of the "
        "classifier's features, generated and reconstructed images.",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, metavar="HTML", help="the page (RUN/report.html)")
    parser.add_argument(
        "--compare",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="show another run on the same data beside it; may be repeated",
    )
    parser.set_defaults(run=_report)


def _add_export(commands) -> None:
    parser = commands.add_parser(
        "export",
        allow_abbrev=False,
        help="export a SavedModel for TensorFlow Serving",
        description="Write DIR/<version>/ with the signatures classify, encode, reconstruct, "
        "generate, score, explain, decode and styles, warm-up requests, and where the model comes "
        "from. An existing version is never overwritten. With --tflite or --onnx, files for "
        "phones, browsers and ONNX Runtime follow in DIR/converted/<version>/, each compared with "
        "the SavedModel on test images.",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--version", type=int, help="number; default one more than the highest")
    parser.add_argument(
        "--score-samples", type=int, default=100, metavar="S", help="importance samples of score"
    )
    parser.add_argument(
        "--tflite",
        nargs="+",
        default=[],
        choices=["float32", "float16", "dynamic"],
        help="also TFLite files; float16: half the size, dynamic: weights of 8 bits, a quarter",
    )
    parser.add_argument("--onnx", action="store_true", help="also ONNX files")
    parser.set_defaults(run=_export)


def _add_serve(commands) -> None:
    parser = commands.add_parser(
        "serve",
        allow_abbrev=False,
        help="serve exported models on this machine, for development",
        description="Answer predict, metadata and status requests of TensorFlow Serving, REST and "
        "gRPC, over exported models. It is for trying things out: there is no encryption and no "
        "login. It needs: pip install 'tfssvae[serving]'.",
        epilog="examples:\n  tfssvae serve saved_models/mnist_m2\n"
        "  tfssvae serve digits=saved_models/a shapes=saved_models/b --batching",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "models",
        nargs="+",
        metavar="[NAME=]DIR",
        help="a folder of numbered versions, of which new ones are taken up; its own name is the "
        "model's unless NAME is given",
    )
    parser.add_argument("--name", metavar="NAME", help="the model's name, where there is one DIR")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="H", help="address to listen at (127.0.0.1)"
    )
    parser.add_argument(
        "--rest-port", type=_port, default=8501, metavar="P", help="0 takes any free one (8501)"
    )
    parser.add_argument(
        "--grpc-port", type=_port, default=8500, metavar="P", help="0 takes any free one (8500)"
    )
    parser.add_argument(
        "--batching",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="merge requests along their first axis (off)",
    )
    parser.add_argument(
        "--max-batch-size", type=int, default=128, metavar="N", help="rows of a batch (128)"
    )
    parser.add_argument(
        "--batch-timeout-ms",
        type=_not_negative,
        default=5.0,
        metavar="T",
        help="how long a request waits for others (5)",
    )
    parser.add_argument(
        "--max-request-mb",
        type=_not_negative,
        default=64.0,
        metavar="MB",
        help="larger requests are refused (64)",
    )
    parser.set_defaults(run=_serve)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, got {text}")
    return int(text)


def _serve(options) -> None:
    models = _named_folders(options.models, options.name)
    if options.max_batch_size < 1:
        raise InputError(f"--max-batch-size must be at least 1, got {options.max_batch_size}")
    if options.rest_port == options.grpc_port != 0:
        raise InputError(f"--rest-port and --grpc-port are both {options.rest_port}: give two")
    try:
        from tfssvae.serving.development import server
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tfssvae"):
            raise
        raise InputError(
            f"serve needs {error.name}, which is not installed: pip install 'tfssvae[serving]'"
        ) from None
    if not server.is_loopback(options.host):
        print(
            f"tfssvae: warning: {options.host} can be reached from other machines; this server has "
            "no encryption and no login",
            file=sys.stderr,
        )
    names = ("host", "rest_port", "grpc_port", "batching", "max_batch_size", "batch_timeout_ms")
    chosen = {name: getattr(options, name) for name in (*names, "max_request_mb")}
    server.serve(models, server.Settings(**chosen))


def _named_folders(texts: Sequence[str], name: str | None) -> dict[str, Path]:
    """Return {"digits": Path("a")} for ["digits=a"]; the name of a folder is its last part."""
    if name is not None and len(texts) > 1:
        raise InputError("--name is for one DIR: give NAME=DIR for each of several")
    folders: dict[str, Path] = {}
    for text in texts:
        given, separator, path = text.rpartition("=")
        # A folder may have "=" in its name.
        if not separator or Path(text).is_dir():
            given, path = "", text
        found = name or given or Path(path).resolve().name
        if found in folders:
            raise InputError(f'two models are called "{found}": give NAME=DIR for one of them')
        folders[found] = Path(path)
    return folders


def _add_reproduce(commands) -> None:
    parser = commands.add_parser(
        "reproduce",
        allow_abbrev=False,
        help="run the experiments of a published table",
        description="Train every row of a published table with the paper's settings and print the "
        "table beside the paper's. An interrupted command continues where it was when it is "
        "given again. DIR gets a run folder for each row and seed, table.md and table.json.",
        epilog="example:\n  tfssvae reproduce mier/table1 --data fashion_mnist --epochs 30 "
        "--seeds 0 1 2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", metavar="PAPER/TABLE", help=f"one of: {', '.join(TABLES)}")
    parser.add_argument("--data", required=True, metavar="NAME", help="a data set of the table")
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="of each run (default: the paper's); schedules shrink in proportion",
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0], metavar="S", help="one run a row for each (0)"
    )
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="some rows only (default: all)")
    parser.add_argument(
        "--data-dir", metavar="DIR", help="folder with NAME.npz files (default $TFSSVAE_DATA)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder (runs/reproduce/PAPER-TABLE-DATA)"
    )
    parser.set_defaults(run=_reproduce)


def _add_convert(commands) -> None:
    parser = commands.add_parser(
        "convert",
        allow_abbrev=False,
        help="write a data set as TFRecord shards, for data beyond memory",
        description="Write DIR with TFRecord shards that --data DIR reads row by row, in any "
        "order. Images of a folder and of tfds: data pass through a temporary file beside DIR and "
        "need no memory of their own.",
        epilog="example:\n  tfssvae convert photos/ shards/photos --image-size 64 64",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", metavar="NAME|PATH", help="as --data of train")
    parser.add_argument("out", type=Path, metavar="DIR", help="the new folder")
    parser.add_argument("--data-dir", metavar="DIR", help="folder with NAME.npz files or tfds data")
    parser.add_argument("--grey", action="store_true", help="convert colour images to grey")
    parser.add_argument(
        "--image-size", type=int, nargs=2, metavar=("H", "W"), help="resize images to H x W pixels"
    )
    parser.add_argument("--label-key", metavar="KEY", help="which labels, where there are several")
    parser.add_argument("--num-classes", type=int, metavar="K", help="where the data do not say")
    parser.add_argument(
        "--shard-mb", type=int, default=128, metavar="MB", help="images in one file (128)"
    )
    parser.set_defaults(run=_convert)


def _convert(options) -> None:
    if options.shard_mb < 1:
        raise InputError(f"--shard-mb must be at least 1, got {options.shard_mb}")
    from tfssvae.data.convert import convert

    names = ("data_dir", "grey", "image_size", "label_key", "num_classes")
    chosen = {name: getattr(options, name) for name in names}
    convert(options.data, options.out, options.shard_mb * 2**20, **chosen)


def _add_bench(commands) -> None:
    parser = commands.add_parser(
        "bench",
        allow_abbrev=False,
        help="measure speed as a fraction of what this machine can do",
        description="Run one benchmark or all of them, on an otherwise idle machine: images a "
        "second, fraction of the matrix peak measured in the same run, memory. They come with the "
        "source code.",
        epilog="examples:\n  tfssvae bench --out figures\n  tfssvae bench likelihood --methods vae",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help=f"one of: {', '.join(NAMES)} (default: all)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for NAME.json files")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="of the benchmark: NAME --help"
    )
    parser.set_defaults(run=_bench)


def _bench(options) -> None:
    bench(options.name, options.arguments, options.out)


def _train(options) -> None:
    if options.resume is not None:
        if options.method or options.data:
            raise InputError("--resume takes everything else from the run folder: name only RUN")
        from tfssvae.runs import resume_run

        resume_run(options.resume)
        return
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
    config = {
        "method": options.method,
        "data": {
            "name": options.data,
            "labels_per_class": options.labels_per_class,
            "label_fraction": options.label_fraction,
            "labelled_classes": options.labelled_classes,
            "clusters": options.clusters,
            "validation": _count_or_fraction(options.validation),
            "data_dir": options.data_dir,
            "grey": options.grey,
            "image_size": options.image_size,
            "binarize": options.binarize,
            "seed": options.seed,
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
        "checkpoint_seconds": options.checkpoint_seconds,
    }
    from tfssvae.runs import start_run

    start_run(options.out or _free_folder(options.method, options.data), config)


def _evaluate(options) -> None:
    if options.samples < 0:
        raise InputError(f"--samples must not be negative, got {options.samples}")
    from tfssvae import runs

    model, data = runs.load_run(options.run_folder)
    for name, value in runs.measure(model, data).items():
        print(_figure_line(name, value))
    if options.samples:
        bound = runs.log_likelihood(model, data, options.samples, options.seed)
        print(f"log p(x) >= {bound:.2f} nats with {options.samples} importance samples")
    if options.inception_score:
        score = runs.inception_score(model, options.inception_score, seed=options.seed)
        print(
            f"Inception Score {score['mean']:.3f} ± {score['sd']:.3f} over {score['splits']} parts "
            f"of {score['images']:,} images, judged by {score['classifier']}"
        )


def _sample(options) -> None:
    from tfssvae import runs

    model, data = runs.load_run(options.run_folder)
    runs.save_samples(model, options.out, data.class_names, options.per_class, options.seed)
    print(f"wrote {options.out}")


def _report(options) -> None:
    from tfssvae.report import write_report

    print(f"wrote {write_report(options.run_folder, options.out, options.compare)}")


def _export(options) -> None:
    from tfssvae import runs, serving

    wanted = {"tflite": options.tflite, "onnx": options.onnx}
    if any(wanted.values()):
        serving.check_extra(**wanted)
    folders = options.run_folder, options.directory
    path, images = runs.export_run(*folders, options.version, options.score_samples)
    print(f"wrote {path}")
    if any(wanted.values()):
        found = serving.convert(path, images, **wanted)
        print(serving.describe_conversion(found))


def _reproduce(options) -> None:
    from tfssvae.reproduce import reproduce

    reproduce(
        options.table,
        options.data,
        epochs=options.epochs,
        seeds=options.seeds,
        rows=options.rows,
        out=options.out,
        data_dir=options.data_dir,
    )


def _model_arguments(options) -> dict:
    arguments = _assignments(options.set)
    if options.regularizer:
        import keras

        parts = [_part("--regularizer", text, REGULARIZERS) for text in options.regularizer]
        if "regularizers" not in arguments and options.method in METHODS:
            parts = METHODS[options.method].paper_regularizers(**arguments) + parts
            arguments["regularizers"] = []
        arguments["regularizers"] += keras.saving.serialize_keras_object(parts)
    if options.augment:
        import keras

        from tfssvae import layers

        known = {name: getattr(layers, cls) for name, cls in _AUGMENTATIONS.items()}
        steps = [_part("--augment", text, known) for text in options.augment]
        chain = steps[0] if len(steps) == 1 else layers.Chain(steps)
        arguments["augment"] = keras.saving.serialize_keras_object(chain)
    return arguments


def _part(option: str, text: str, known: Mapping[str, Any]):
    """Return the object that "mier:beta=5,gamma=1" describes."""
    name, _, settings = text.partition(":")
    if name not in known:
        raise InputError(f"unknown {option.lstrip('-')} {name!r}: {closest(name, known)}")
    arguments = _assignments([pair for pair in settings.split(",") if pair])
    try:
        return known[name](name=name, **arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"{option} {text}: {error}") from None


def _assignments(pairs: Sequence[str]) -> dict:
    """Return {"latent_dim": 20} for ["latent_dim=20"]; values are Python literals or text."""
    values = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name.isidentifier():
            raise InputError(f"--set takes ARGUMENT=VALUE, such as latent_dim=20; got {pair!r}")
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            values[name] = text
    return values


def _count_or_fraction(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _free_folder(method: str, data: str) -> Path:
    """Return runs/METHOD-DATA, or the first runs/METHOD-DATA-N that is free."""
    base = Path("runs") / f"{method}-{Path(data).stem.replace(':', '-') or 'data'}"
    folder, number = base, 2
    while folder.exists():
        folder, number = base.with_name(f"{base.name}-{number}"), number + 1
    return folder


def _figure_line(name: str, value) -> str:
    if isinstance(value, dict):
        parts = ", ".join(f"{key} {_short(part)}" for key, part in value.items())
        return f"{name}: {parts}"
    return f"{name}: {_short(value)}"


def _short(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
