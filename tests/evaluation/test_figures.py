"""Figures: what they show is read back from their axes and pixels."""

import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from tfssvae import evaluation, models
from tfssvae.checks import InputError
from tfssvae.evaluation.images import SEPARATOR
from tfssvae.evaluation.style import luminance, theme
from tfssvae.regularizers import MIER


@pytest.fixture(scope="module")
def model(digits):
    return models.METHODS["m2"](digits.input_shape, 10, latent_dim=4, hidden=(16,))


def texts(axes, axis):
    return [label.get_text() for label in getattr(axes, f"get_{axis}ticklabels")()]


def cells(axes, rows, columns):
    """Cut the picture of an axes into its cells: (rows, columns, height, width)."""
    picture = np.asarray(axes.images[0].get_array())[1:, 1:, 0]
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    apart = picture.reshape(rows, height, columns, width).transpose(0, 2, 1, 3)
    return apart[:, :, :-1, :-1]


def test_reconstructions_stand_below_their_inputs(model, digits):
    x = digits.x_test[:12]
    figure = evaluation.reconstruction_figure(model, x)
    axes = figure.axes[0]
    assert texts(axes, "y") == ["input", "reconstruction"] * 2
    found = cells(axes, 4, 10)[:, :, ::8, ::8]  # each of the 8x8 pixels is drawn as 8x8 pixels
    expected = model.reconstruct(x)[..., 0]
    np.testing.assert_allclose(found[0], x[:10, ..., 0] / 255, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[:10], atol=1e-6)
    np.testing.assert_allclose(found[3, :2], expected[10:], atol=1e-6)
    np.testing.assert_allclose(found[2:, 2:], SEPARATOR)
    assert figure.get_suptitle() == "M2: inputs and their reconstructions"


def test_several_models_have_a_row_each_below_the_inputs(model, m2, digits):
    x = digits.x_test[:12]
    figure = evaluation.reconstruction_figure({"M2": model, "M2 + MIER": m2}, x)
    axes = figure.axes[0]
    assert texts(axes, "y") == ["input", "M2", "M2 + MIER"] * 2
    found = cells(axes, 6, 10)[:, :, ::8, ::8]
    for row, pictures in enumerate((x / 255, model.reconstruct(x), m2.reconstruct(x))):
        np.testing.assert_allclose(found[row], pictures[:10, ..., 0], atol=1e-6)
        np.testing.assert_allclose(found[3 + row, :2], pictures[10:, ..., 0], atol=1e-6)
    assert figure.get_suptitle() == "Inputs and their reconstructions"


def test_titles_name_the_regularizers(digits):
    m2 = models.METHODS["m2"](digits.input_shape, 10, 2, (4,), regularizers=[MIER()])
    figure = evaluation.reconstruction_figure(m2, digits.x_test[:2])
    assert figure.get_suptitle() == "M2 + MIER: inputs and their reconstructions"
    figure = evaluation.class_samples_figure(m2, digits.class_names, per_class=1)
    assert figure.get_suptitle() == "M2 + MIER: generated examples of each class"


def test_each_column_of_class_samples_shares_its_noise(model, digits):
    figure = evaluation.class_samples_figure(model, digits.class_names, per_class=3, seed=5)
    axes = figure.axes[0]
    assert texts(axes, "y") == list(digits.class_names)
    found = cells(axes, 10, 3)[:, :, ::8, ::8]
    for k in (0, 9):
        np.testing.assert_allclose(found[k], model.generate([k] * 3, seed=5)[..., 0], atol=1e-6)
    again = evaluation.class_samples_figure(model, digits.class_names, per_class=3, seed=6)
    assert np.abs(cells(again.axes[0], 10, 3)[:, :, ::8, ::8] - found).max() > 1e-3


def test_a_hundred_classes_stand_in_five_panels_with_every_name():
    model = models.METHODS["m2"]((32, 32, 3), 100, latent_dim=2, hidden=(4,))
    names = [f"$class {k}_{{$" for k in range(99)] + ["a very long name of\na class indeed"]
    figure = evaluation.class_samples_figure(model, names, per_class=2)
    assert len(figure.axes) == 5
    shown = [name for axes in figure.axes for name in texts(axes, "y")]
    assert shown[:99] == names[:99]
    assert shown[99] == "a very long name of…"
    evaluation.figure_pixels(figure)  # a "$" is not taken for a formula
    assert_apart(figure)


def assert_apart(figure):
    """Every text is inside the figure and no two row names or pictures overlap."""
    renderer = figure.canvas.get_renderer()
    boxes = [axes.get_window_extent(renderer) for axes in figure.axes]
    for axes in figure.axes:
        boxes += [label.get_window_extent(renderer) for label in axes.get_yticklabels()]
    width, height = figure.bbox.width, figure.bbox.height
    for index, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
        for other in boxes[:index]:
            assert not box.overlaps(other)


def test_confusion_figure_shows_counts_and_fractions():
    figure = evaluation.confusion_figure([[3, 1], [0, 0]], ["cat", "$dog_{$"])
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 0]])
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "3", (1, 0): "1"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert texts(axes, "x") == texts(axes, "y") == ["cat", "$dog_{$"]
    assert "3 of 4 correct" in axes.get_title()
    evaluation.figure_pixels(figure)


@pytest.mark.parametrize("dark", [False, True])
def test_counts_stand_out_from_their_cells_on_light_and_dark_pages(dark):
    counts = np.full((10, 10), 1) + np.diag(np.arange(10) ** 3)  # fractions from 0.1 to 0.99
    with theme(dark):
        figure = evaluation.confusion_figure(counts, [str(k) for k in range(10)])
    assert (luminance(figure.get_facecolor()[:3]) < 0.5) == dark
    axes = figure.axes[0]
    image = axes.images[0]
    # Nothing is confused: the cell is of the colour of the page, bright or dark.
    assert (luminance(image.cmap(0)[:3]) < 0.5) == dark
    for text in axes.texts:
        column, row = text.get_position()
        cell = image.cmap(image.norm(counts[row, column] / counts[row].sum()))
        assert abs(luminance(text.get_color()) - luminance(cell[:3])) > 0.45
    after = evaluation.history_figure({"loss": [1.0]})
    assert luminance(after.get_facecolor()[:3]) > 0.9


def test_names_of_a_hundred_classes_do_not_overlap_in_the_confusion_matrix():
    figure = evaluation.confusion_figure(np.eye(100, dtype=int), [f"class {k}" for k in range(100)])
    evaluation.figure_pixels(figure)
    renderer = figure.canvas.get_renderer()
    for axis in ("x", "y"):
        labels = getattr(figure.axes[0], f"get_{axis}ticklabels")()
        boxes = [label.get_window_extent(renderer) for label in labels]
        assert not any(one.overlaps(two) for one, two in itertools.pairwise(boxes))
    assert not figure.axes[0].texts


def test_calibration_figure_shows_accuracy_gap_and_error():
    probs = np.array([[0.75, 0.25]] * 4 + [[0.95, 0.05]], np.float32)
    labels = [0, 0, 1, 1, 0]
    figure = evaluation.calibration_figure(probs, labels, bins=10)
    top, bottom = figure.axes
    heights = [(bar.get_x(), bar.get_height()) for bar in top.patches]
    np.testing.assert_allclose(
        heights, [(0.7, 0.5), (0.9, 1), (0.7, 0.25), (0.9, -0.05)], atol=1e-6
    )
    np.testing.assert_allclose([bar.get_height() for bar in bottom.patches], [0.8, 0.2])
    assert all(bar.get_alpha() is not None for bar in top.patches)  # of a few rows each
    many = evaluation.calibration_figure(
        np.repeat(probs, [10] * 4 + [1], axis=0), [0] * 41, bins=10
    )
    pale = [bar.get_alpha() is not None for bar in many.axes[0].patches]
    assert pale == [False, True, False, True]
    assert all(handle.get_alpha() is None for handle in figure.legends[0].get_patches())
    error = float(evaluation.expected_calibration_error(probs, labels, bins=10))
    assert f"error {error:.3f} (5 rows, 10 bins)" in top.get_title()


def test_history_figure_has_a_panel_per_quantity():
    history = keras.callbacks.History()
    history.history = {
        "accuracy": [0.5, 0.75, 1.0],
        "labelled_kl_z": [3.0, 2.0, 1.0],
        "loss": [5.0, 4.0, 3.0],
        "monitor/entropy": [2.3025850, 2.3025851, 2.3025852],
        "val_accuracy": [0.5, 0.5, 0.75],
        "val_loss": [6.0, 5.0, 4.0],
    }
    figure = evaluation.history_figure(history)
    panels = {axes.get_title(): axes for axes in figure.axes if axes.axison}
    assert list(panels) == ["loss", "accuracy", "labelled_kl_z", "monitor/entropy"]
    lines = {line.get_label(): line for line in panels["loss"].get_lines()}
    assert lines["training"].get_xydata().tolist() == [[1, 5], [2, 4], [3, 3]]
    assert lines["validation"].get_xydata().tolist() == [[1, 6], [2, 5], [3, 4]]
    assert [axes.get_ylabel() for axes in panels.values()] == ["nats", "fraction", "nats", "nats"]
    assert {axes.get_xlabel() for axes in panels.values()} == {"epoch"}
    low, high = panels["monitor/entropy"].get_ylim()
    assert high - low > 0.05


def test_history_of_one_epoch_and_of_none():
    figure = evaluation.history_figure({"loss": [1.0]})
    assert figure.axes[0].get_lines()[0].get_marker() == "o"
    assert [tick for tick in figure.axes[0].get_xticks() if 0.5 <= tick <= 1.5] == [1]
    with pytest.raises(InputError, match="history is empty"):
        evaluation.history_figure({})


def test_saved_figure_is_the_drawn_one(tmp_path):
    figure = evaluation.history_figure({"loss": [2.0, 1.0]})
    path = tmp_path / "new" / "history.png"
    evaluation.save_figure(figure, path)
    with Image.open(path) as image:
        saved = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(saved, evaluation.figure_pixels(figure))
    assert [entry.name for entry in path.parent.iterdir()] == ["history.png"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    figure = evaluation.history_figure({"loss": [1.0]})

    def half_written(target, **kwargs):
        target.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(figure, "savefig", half_written)
    with pytest.raises(OSError, match="No space left"):
        evaluation.save_figure(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_bad_input_is_refused(model, digits, tmp_path):
    with pytest.raises(InputError, match=r"x must have shape \(n, 8, 8, 1\)"):
        evaluation.reconstruction_figure(model, np.zeros((1, 4, 4, 1)))
    with pytest.raises(InputError, match="got an empty dict"):
        evaluation.reconstruction_figure({}, digits.x_test[:1])
    with pytest.raises(InputError, match=r"class_names must be 10 names, one per class, got \['a'"):
        evaluation.class_samples_figure(model, ["a", "b"])
    with pytest.raises(InputError, match="per_class must be at least 1"):
        evaluation.class_samples_figure(model, digits.class_names, per_class=0)
    with pytest.raises(InputError, match=r"matrix must be \(K, K\)"):
        evaluation.confusion_figure(np.zeros((2, 3)), ["a", "b"])
    with pytest.raises(InputError, match=r'ending in "\.png", got .*figure\.jpg'):
        evaluation.save_figure(evaluation.history_figure({"loss": [1.0]}), tmp_path / "figure.jpg")


def test_importing_the_package_is_cheap():
    code = (
        "import sys, tfssvae.evaluation as e; "
        "print(sorted({'tensorflow', 'matplotlib', 'keras'} & set(sys.modules)), "
        "'history_figure' in dir(e))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[] True"
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        evaluation.no_such_name  # noqa: B018
