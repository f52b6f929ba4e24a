"""What the figures of metrics.json are called, and how people write them."""

import re
from typing import NamedTuple


class Measure(NamedTuple):
    """A figure of a run.

    Attributes:
        key: its name in metrics.json.
        title: what people call it.
        template: how a value is written.
        is_fraction: whether it is a part of 1, written in percent.
    """

    key: str
    title: str
    template: str = "{:.4g}"
    is_fraction: bool = False

    def text(self, value: float) -> str:
        """Return a value as people write it.

        >>> measure_of("accuracy").text(0.0125)
        '1.25%'
        """
        return self._number(value) + ("%" if self.is_fraction else "")

    def difference(
        self, value: float, error: float | None, ends: tuple[float, float] | None
    ) -> str:
        """Return a difference with its standard error and interval; fractions in points of percent.

        >>> measure_of("accuracy").difference(0.0125, None, None)
        '+1.25 points'
        """
        text = self._number(value, "+")
        if error is not None and ends is not None:
            low, high = (self._number(end, "+") for end in ends)
            text = f"{text} ± {self._number(error)} [{low}, {high}]"
        return f"{text} points" if self.is_fraction else text

    def _number(self, value: float, sign: str = "") -> str:
        return self.template.replace(":", f":{sign}").format(
            100 * value if self.is_fraction else value
        )


MEASURES = (
    Measure("accuracy", "accuracy", "{:.2f}", True),
    Measure("clustering_accuracy", "clustering accuracy", "{:.2f}", True),
    Measure("labels_alone", "accuracy with the labels alone", "{:.2f}", True),
    Measure("teacher_accuracy", "accuracy of the Mean Teacher", "{:.2f}", True),
    Measure("error", "error", "{:.2f}", True),
    Measure("teacher_error", "error of the Mean Teacher", "{:.2f}", True),
    Measure("free_accuracy", "accuracy on classes without labels", "{:.2f}", True),
    Measure("expected_calibration_error", "calibration error (ECE)", "{:.4f}"),
    Measure("log_loss", "log loss, nats", "{:.4f}"),
    Measure("entropy", "entropy H(q(y|x)), nats", "{:.4f}"),
    Measure("mutual_information", "information I(y; x), nats", "{:.4f}"),
    Measure("unlabelled_bound", "bound without labels, nats", "{:.2f}"),
    Measure("labelled_bound", "bound with labels, nats", "{:.2f}"),
    Measure("kl_to_prior", "KL(q(y, z|x) || p(y, z)), nats", "{:.2f}"),
    Measure("negative_ssim", "diversity of the plane (negative SSIM)", "{:.3f}"),
    Measure("seconds", "training, s", "{:.1f}"),
)
"""In the order in which they are shown."""

_KNOWN = {measure.key: measure for measure in MEASURES}
_PATTERNS = (
    (r"log_likelihood_(\d+)", "log p(x), nats, {} samples", "{:.2f}"),
    (r"kl_(z\d+)", "KL of {} from its prior, nats", "{:.2f}"),
    (r"active_units_(z\d+)", "active units of {}", "{:.3g}"),
    (r"activated_units_(\d+)", "activated units of class {}", "{:.3g}"),
)


def measure_of(key: str) -> Measure:
    """Return what a figure of metrics.json is called; one that is not known has its key.

    >>> measure_of("log_likelihood_5000").title
    'log p(x), nats, 5000 samples'
    """
    if key in _KNOWN:
        return _KNOWN[key]
    for pattern, title, template in _PATTERNS:
        match = re.fullmatch(pattern, key)
        if match:
            return Measure(key, title.format(match[1]), template)
    return Measure(key, key.replace("_", " "))
