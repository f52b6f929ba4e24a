"""A run folder: everything that one training run needs, and everything that it leaves.

config.json   what was asked for         split.json   rows whose labels were seen
checkpoints/  to resume from             logs/        TensorBoard
model.keras   the trained model          metrics.json test figures and history
figures/      pictures                   export/      a SavedModel for serving
sessions.json when and where it ran      diverged/    the batch that broke training
"""

from tfssvae.runs.build import validation_figures
from tfssvae.runs.complete import complete_run
from tfssvae.runs.export import export_run
from tfssvae.runs.figures import save_samples
from tfssvae.runs.folder import load_run, load_run_data, read_config, read_metrics
from tfssvae.runs.measures import has_labels, inception_score, log_likelihood, measure
from tfssvae.runs.train import resume_run, start_run

__all__ = [
    "complete_run",
    "export_run",
    "has_labels",
    "inception_score",
    "load_run",
    "load_run_data",
    "log_likelihood",
    "measure",
    "read_config",
    "read_metrics",
    "resume_run",
    "save_samples",
    "start_run",
    "validation_figures",
]
