"""`tfssvae evaluate`."""

from pathlib import Path

from tfssvae.checks import InputError
from tfssvae.cli.arguments import add_best, say_of


def add(commands) -> None:
    """Add the command to the subparsers `commands`."""
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
    add_best(parser)
    parser.add_argument(
        "--json", action="store_true", help="print JSON, an object a line, instead of text"
    )
    parser.set_defaults(run=run)


def run(options) -> None:
    """Print the figures of a run."""
    if options.samples < 0:
        raise InputError(f"--samples must not be negative, got {options.samples}")
    from tfssvae import runs

    say = say_of(options)
    model, data = runs.load_run(options.run_folder, options.best)
    figures = runs.measure(model, data)
    say("\n".join(map(_figure_line, figures, figures.values())), event="figures", **figures)
    if options.samples:
        verbose = 0 if options.json else 1
        bound = runs.log_likelihood(model, data, options.samples, options.seed, verbose)
        text = f"log p(x) >= {bound:.2f} nats with {options.samples} importance samples"
        say(text, event="likelihood", log_likelihood=bound, samples=options.samples)
    if options.inception_score:
        score = runs.inception_score(model, options.inception_score, seed=options.seed)
        text = (
            f"Inception Score {score['mean']:.3f} ± {score['sd']:.3f} over {score['splits']} parts "
            f"of {score['images']:,} images, judged by {score['classifier']}"
        )
        say(text, event="inception_score", **score)


def _figure_line(name: str, value) -> str:
    if isinstance(value, dict):
        parts = ", ".join(f"{key} {_short(part)}" for key, part in value.items())
        return f"{name}: {parts}"
    return f"{name}: {_short(value)}"


def _short(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
