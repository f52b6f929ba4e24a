"""`tfssvae convert`."""

import argparse
from pathlib import Path

from tfssvae.checks import InputError
from tfssvae.cli.arguments import add_background, add_pixel_range, background_of


def add(commands) -> None:
    """Add the command to the subparsers `commands`."""
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
    add_background(parser)
    add_pixel_range(parser)
    parser.add_argument("--label-key", metavar="KEY", help="which labels, where there are several")
    parser.add_argument("--num-classes", type=int, metavar="K", help="where the data do not say")
    parser.add_argument(
        "--shard-mb", type=int, default=128, metavar="MB", help="images in one file (128)"
    )
    parser.set_defaults(run=run)


def run(options) -> None:
    """Write the shards."""
    if options.shard_mb < 1:
        raise InputError(f"--shard-mb must be at least 1, got {options.shard_mb}")
    from tfssvae.data.convert import convert

    names = ("data_dir", "grey", "image_size", "label_key", "num_classes", "pixel_range")
    chosen = {name: getattr(options, name) for name in names}
    if options.background:
        chosen["background"] = background_of(options.background)
    convert(options.data, options.out, options.shard_mb * 2**20, **chosen)
