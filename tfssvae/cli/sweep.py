"""`tfssvae sweep`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfssvae.checks import InputError, check_seed
from tfssvae.cli.arguments import say_of
from tfssvae.cli.train import add_settings, configuration, given_beside_resume
from tfssvae.models import METHODS
from tfssvae.sweep.space import Range, grid_size, parse_space
from tfssvae.sweep.tuner import SAMPLERS

if TYPE_CHECKING:
    from tfssvae.sweep.trials import Settings

EXAMPLES = """examples:
  tfssvae sweep m2 --data digits --labels-per-class 5 --validation 200 \\
      --grid latent_dim=5,10,20 --grid weights.classification=5,20 --seeds 0 1
  tfssvae sweep m2 --data mnist --labels-per-class 10 --validation 5000 --epochs 10 \\
      --range learning_rate=1e-4:1e-2:log --range latent_dim=10:100 \\
      --regularizer mier --grid mier.beta=1,5,10 --trials 30 --seeds 0 1 2
  tfssvae sweep --resume runs/sweep/m2-mnist
  tensorboard --logdir runs/sweep/m2-mnist
"""


def add(commands) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "sweep",
        allow_abbrev=False,
        help="train a method with many settings and choose the best by validation data",
        description="Train a method once for each setting and seed, and choose the setting whose "
        "mean over the seeds is best on validation data. Arguments are named as in --set "
        "(latent_dim), as terms of the loss (weights.classification, weights.*_kl_z), as parts "
        "(mier.beta with --regularizer mier) or as options (learning_rate, labelled, unlabelled, "
        "unfeatured, epochs). An interrupted command continues where it was when it is given "
        "again. DIR gets a run folder for each trial and seed, sweep.json and table.md.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sweep = parser.add_argument_group("of the sweep")
    sweep.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="ARGUMENT=V1,V2,...",
        help="values of an argument; may be repeated. Alone, every combination is tried",
    )
    sweep.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="ARGUMENT=LOW:HIGH[:log]",
        help="a range of an argument, of whole numbers where both ends are; may be repeated",
    )
    sweep.add_argument(
        "--trials", type=int, metavar="N", help="settings that the sampler draws, with --range"
    )
    sweep.add_argument(
        "--sampler",
        choices=SAMPLERS,
        help="tpe learns from the trials before; needs optuna, as random does (grid without "
        "--range and --trials, else tpe)",
    )
    sweep.add_argument(
        "--sampler-seed", type=int, default=0, metavar="S", help="of random and tpe (0)"
    )
    sweep.add_argument(
        "--seeds", type=int, nargs="+", default=[0], metavar="S", help="one run a trial for each"
    )
    sweep.add_argument(
        "--objective",
        metavar="NAME",
        help="figure of the validation data after the last epoch: val_accuracy (default), "
        "val_loss, val_monitor/unlabelled_bound (default without labels), or another in a history",
    )
    sweep.add_argument(
        "--direction", choices=["maximize", "minimize"], help="where the objective's name is mute"
    )
    sweep.add_argument("--out", type=Path, metavar="DIR", help="folder (runs/sweep/METHOD-DATA)")
    sweep.add_argument(
        "--json", action="store_true", help="print JSON, an object a line, instead of text"
    )
    sweep.add_argument("--resume", type=Path, metavar="DIR", help="continue an interrupted sweep")
    add_settings(parser.add_argument_group("of every run, as of train"))
    parser.set_defaults(run=run, parser=parser)


def run(options) -> None:
    """Start a sweep, or continue one."""
    if options.resume is not None:
        if given := given_beside_resume(options):
            raise InputError(
                f"--resume takes everything else from the folder: leave out {', '.join(given)}"
            )
        from tfssvae.sweep.trials import read_sweep

        settings, _ = read_sweep(options.resume)
        _sweep(options.resume, settings, say_of(options))
        return
    if options.method not in METHODS or not options.data:
        raise InputError(
            f"name a method ({', '.join(METHODS)}) and --data, such as: tfssvae sweep m2 "
            "--data digits --labels-per-class 5 --validation 200 --grid latent_dim=5,10"
        )
    settings = settings_of_sweep(options)
    default = Path("runs") / "sweep" / f"{options.method}-{Path(options.data).stem}"
    _sweep(options.out or Path(str(default).replace(":", "-")), settings, say_of(options))


def settings_of_sweep(options) -> "Settings":
    """Return the settings of a new sweep, all of them checked."""
    if not options.validation > 0:
        raise InputError(
            "a sweep chooses by validation data, never by test data: hold training rows out with "
            "--validation, such as --validation 0.1"
        )
    if options.on_divergence != "stop":
        raise InputError(
            "a sweep compares learning rates and does not change them: leave out --on-divergence"
        )
    space = parse_space(options.grid, options.range)
    sampler, trials = _sampler_and_trials(options, space)
    seeds = tuple(dict.fromkeys(check_seed(seed) for seed in options.seeds))
    if options.sampler_seed < 0:
        raise InputError(f"--sampler-seed must not be negative, got {options.sampler_seed}")
    from tfssvae.cli.settings import check_arguments, settings_of
    from tfssvae.sweep.trials import Settings
    from tfssvae.sweep.tuner import check_installed
    from tfssvae.training.direction import direction_of

    check_installed(sampler)
    config = configuration(options, seeds[0])
    check_arguments(options, space)
    objective = _objective(options, config)
    direction = options.direction or direction_of(objective)
    train = settings_of(options)
    return Settings(
        train, space, seeds, trials, sampler, options.sampler_seed, objective, direction
    )


def _sampler_and_trials(options, space) -> tuple[str, int]:
    ranges = any(isinstance(values, Range) for values in space.values())
    sampler = options.sampler or ("tpe" if ranges or options.trials is not None else "grid")
    size = grid_size(space)
    if sampler == "grid":
        if ranges:
            raise InputError("--sampler grid tries listed values only: use --grid, not --range")
        if options.trials is not None:
            raise InputError("--sampler grid tries every combination: leave --trials out")
        return sampler, int(size)
    if options.trials is None:
        raise InputError(f"--sampler {sampler} needs --trials, the number of settings to try")
    if options.trials < 1:
        raise InputError(f"--trials must be at least 1, got {options.trials}")
    if options.trials > size:
        raise InputError(
            f"--trials {options.trials}: there are only {size} settings; leave --trials out and "
            "list them with --grid to try every one"
        )
    return sampler, options.trials


def _objective(options, config: dict[str, Any]) -> str:
    """Return the objective, one that these data and this method have."""
    from tfssvae import runs
    from tfssvae.data import load
    from tfssvae.evaluation.curves import ACCURACY, BOUND
    from tfssvae.replicas import strategy_of
    from tfssvae.sweep.objective import check_objective

    strategy_of(config.get("replicas", 1))  # before the data, which may need TensorFlow
    data = load(**config["data"])
    judged = runs.has_labels(data.y_validation) and len(data.labelled_indices) > 0
    objective = options.objective or (ACCURACY if judged else BOUND)
    if objective == ACCURACY and not judged:
        raise InputError(
            f"--objective {ACCURACY} needs labels, in training and of validation rows: use {BOUND}"
        )
    check_objective(objective, runs.validation_figures(config, data))
    return objective


def _sweep(out: Path, settings: "Settings", say) -> None:
    from tfssvae.cli.settings import settings_parser, train_command, with_arguments
    from tfssvae.sweep.run import sweep

    # What an earlier version did not know has its default.
    known = vars(settings_parser().parse_args([]))
    base = argparse.Namespace(**{**known, **settings.train})
    sweep(
        out,
        settings,
        configure=lambda arguments, seed: configuration(with_arguments(base, arguments), seed),
        command=lambda arguments, seed: train_command(with_arguments(base, arguments), seed),
        say=say,
    )
