"""`tfssvae export`."""

from pathlib import Path

from tfssvae.cli.arguments import add_best


def add(commands) -> None:
    """Add the command to the subparsers `commands`."""
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
    add_best(parser)
    parser.set_defaults(run=run)


def run(options) -> None:
    """Write a version, and converted files where they are asked for."""
    from tfssvae import runs, serving

    wanted = {"tflite": options.tflite, "onnx": options.onnx}
    if any(wanted.values()):
        serving.check_extra(**wanted)
    folders = options.run_folder, options.directory
    path, images = runs.export_run(*folders, options.version, options.score_samples, options.best)
    print(f"wrote {path}")
    if any(wanted.values()):
        found = serving.convert(path, images, **wanted)
        print(serving.describe_conversion(found))
