"""What the figures of metrics.json are called, and how people write them."""

import re
from collections.abc import Iterable
from typing import NamedTuple

_LIKELIHOOD = "log_likelihood_"
_DIGITS = 2  # significant ones of a standard error
_NEGLIGIBLE = 1e-12  # of a difference: the rounding error of equal pairs


class Measure(NamedTuple):
    """A figure of a run.

    Attributes:
        key: its name in metrics.json.
        title: what people call it.
        template: how a value is written; a part of 1 in percent.
    """

    key: str
    title: str
    template: str = "{:.4g}"

    @property
    def is_fraction(self) -> bool:
        """Whether it is a part of 1."""
        return self.template.endswith("%}")

    def text(self, value: float) -> str:
        """Return a value as people write it.

        >>> measure_of("accuracy").text(0.0125)
        '1.25%'
        """
        return self.template.format(value)

    def difference(
        self, value: float, error: float | None, ends: tuple[float, float] | None
    ) -> str:
        """Return a difference with its standard error and interval; fractions in points of percent.

        The decimals are those of two significant digits of the standard error, whatever those of
        the figure itself.

        >>> measure_of("accuracy").difference(0.0125, None, None)
        '+1.25 points'
        >>> measure_of("accuracy").difference(-0.0003, 0.00004, (-0.0004, -0.0001))
        '-0.0300 ± 0.0040 [-0.0400, -0.0100] points'
        """
        scale = 100 if self.is_fraction else 1
        spread = error is not None and error > _NEGLIGIBLE * abs(value)
        decimals = _decimals(scale * error) if spread and error else self._decimals(scale * value)
        text = _signed(scale * value, decimals)
        if value and error is not None and ends is not None:
            low, high = (_signed(scale * end, decimals) for end in ends)
            text = f"{text} ± {scale * error if spread else 0:.{decimals}f} [{low}, {high}]"
        return f"{text} points" if self.is_fraction else text

    @property
    def field(self) -> str:
        """What writes the value, from a dict of figures with `format_map`.

        >>> measure_of("accuracy").field.format_map({"accuracy": 0.5})
        '50.00%'
        """
        return self.template.replace("{", "{" + self.key)

    def _decimals(self, difference: float) -> int:
        """Return the decimals of the figure, or more where they would not show a difference."""
        digits = re.search(r"\.(\d+)[f%]", self.template)
        usual = int(digits[1]) if digits else _decimals(difference)
        return max(usual, _decimals(difference)) if round(difference, usual) == 0 else usual


def _decimals(value: float) -> int:
    """Return how many decimals show two significant digits of a value.

    >>> _decimals(0.0123), _decimals(0.0996), _decimals(12.0), _decimals(123.0), _decimals(0.0)
    (3, 2, 0, 0, 0)
    """
    return max(0, _DIGITS - 1 - int(f"{value:.{_DIGITS - 1}e}".partition("e")[2])) if value else 0


def _signed(value: float, decimals: int) -> str:
    """Return a number with its sign, which zero does not have."""
    text = f"{value:+.{decimals}f}"
    return text if float(text) else text[1:]


MEASURES = (
    Measure("accuracy", "accuracy", "{:.2%}"),
    Measure("error", "error", "{:.2%}"),
    Measure("clustering_accuracy", "clustering accuracy, clusters named at best", "{:.2%}"),
    Measure("labels_alone", "accuracy with the labels alone", "{:.2%}"),
    Measure("teacher_accuracy", "accuracy of the Mean Teacher", "{:.2%}"),
    Measure("teacher_error", "error of the Mean Teacher", "{:.2%}"),
    Measure("free_accuracy", "accuracy on classes without labels", "{:.2%}"),
    Measure("free_cross_entropy", "cross-entropy on classes without labels, nats", "{:.4f}"),
    Measure("distinct_classes", "different classes among the decoded ones"),
    Measure("expected_calibration_error", "calibration error (ECE)", "{:.4f}"),
    Measure("log_loss", "log loss, nats", "{:.4f}"),
    Measure("entropy", "entropy of the classifier H(q(y|x)), nats", "{:.4f}"),
    Measure("mutual_information", "mutual information I(y; x), nats", "{:.4f}"),
    Measure("hidden_error", "error on unlabelled training images (hidden labels)", "{:.2%}"),
    Measure("hidden_divergence", "KL(q(y|x) || smoothed hidden label), nats", "{:.4f}"),
    Measure("unlabelled_bound", "bound on log p(x), nats", "{:.2f}"),
    Measure("labelled_bound", "bound on log p(x, y), nats", "{:.2f}"),
    Measure("kl_to_prior", "KL(q(y, z|x) || p(y, z)), nats", "{:.2f}"),
    Measure("negative_ssim", "diversity of the latent plane (negative SSIM, 0 to 1)", "{:.3f}"),
    Measure("seconds", "training, s", "{:.1f}"),
)
"""In the order in which they are shown."""

_KNOWN = {measure.key: measure for measure in MEASURES}
_PATTERNS = (
    (_LIKELIHOOD + r"(\d+)", "log p(x) at least, nats: {:,} importance samples", "{:.2f}"),
    (r"kl_z(\d+)", "KL of z{} from its prior, nats", "{:.2f}"),
    (r"active_units_z(\d+)", "active units of z{}", "{:.3g}"),
    (r"activated_units_(\d+)", "activated units of class {}", "{:.3g}"),
)


def measure_of(key: str) -> Measure:
    """Return what a figure of metrics.json is called; one that is not known has its key.

    >>> measure_of("log_likelihood_5000").title
    'log p(x) at least, nats: 5,000 importance samples'
    """
    if key in _KNOWN:
        return _KNOWN[key]
    for pattern, title, template in _PATTERNS:
        match = re.fullmatch(pattern, key)
        if match:
            return Measure(key, title.format(int(match[1])), template)
    return Measure(key, key.replace("_", " "))


def likelihoods(keys: Iterable[str]) -> dict[int, str]:
    """Return number of importance samples -> key, of the estimates of log p(x), fewest first.

    >>> likelihoods(["accuracy", "log_likelihood_50", "log_likelihood_5"])
    {5: 'log_likelihood_5', 50: 'log_likelihood_50'}
    """
    found = {int(key[len(_LIKELIHOOD) :]): key for key in keys if key.startswith(_LIKELIHOOD)}
    return dict(sorted(found.items()))
