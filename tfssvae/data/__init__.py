"""Data: sources, the choice of labels, and what training reads.

Importing this package needs numpy only; TensorFlow comes in with the first pipeline.
"""

from tfssvae.data.dataset import Data
from tfssvae.data.loading import from_arrays, load
from tfssvae.data.splits import load_split

__all__ = ["Data", "from_arrays", "load", "load_split"]
