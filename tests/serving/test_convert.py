"""A converted file is the model that it was made from, or it is not there."""

import importlib.util
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae.checks import ConversionError, InputError
from tfssvae.cli import main
from tfssvae.library_errors import install_hint
from tfssvae.serving import agreement, convert, export, formats
from tfssvae.serving.tflite import prepare

PACKAGES = ("ai_edge_litert", "tf2onnx", "onnxruntime")
pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in PACKAGES),
    reason="needs the extra convert",
)
VIEWS = {"classify", "encode", "reconstruct"}
SMALL = {"latent_dim": 4, "hidden": (32, 32)}
SMALL_OF = {
    "m1m2": {**SMALL, "style_dim": 3, "style_hidden": (16,)},
    "adgm": {**SMALL, "auxiliary_dim": 4},
    "sdgm": {**SMALL, "auxiliary_dim": 4},
    "lvae": {"latent_dims": (4, 3), "hidden": (32, 32)},
    "cagem": {"latent_dims": (4, 3), "hidden": (32, 32)},
    "exon": {"latent_dim": 2, "hidden": (32, 32), "filters": (4, 8)},
    "parted_vae": {**SMALL, "backbone": "mlp"},
}


@pytest.fixture(scope="module")
def data():
    return tfssvae.data.load("digits", labels_per_class=10, seed=0)


@pytest.fixture(scope="module")
def images(data):
    return data.x_test[:40]


@pytest.fixture(scope="module")
def version(data, tmp_path_factory):
    model = tfssvae.models.M2((8, 8, 1), 10, **SMALL)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(data.train(50, 100), epochs=5, verbose=0)
    return export(model, tmp_path_factory.mktemp("models") / "m2")


@pytest.fixture
def fresh(version, tmp_path):
    """A place of its own for the files of a version."""
    link = tmp_path / "m2" / "1"
    link.parent.mkdir()
    link.symlink_to(version, target_is_directory=True)
    return link


@pytest.fixture(scope="module")
def converted(version, images):
    return convert(version, images, tflite=["float32", "float16", "dynamic"], onnx=True)


def served(version, signature, images):
    function = tf.saved_model.load(str(version)).signatures[signature]
    return {key: value.numpy() for key, value in function(images=tf.constant(images)).items()}


def run_tflite(path, images):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    (entry,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(entry["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], images)
    interpreter.invoke()
    outputs = [interpreter.get_tensor(o["index"]) for o in interpreter.get_output_details()]
    return {value.dtype.kind + str(value.ndim): value for value in outputs}


def run_onnx(path, images):
    import onnxruntime

    outputs = onnxruntime.InferenceSession(str(path)).run(None, {"images": images})
    return {value.dtype.kind + str(value.ndim): value for value in outputs}


def test_every_view_is_converted_and_generate_is_said_to_be_left_out(converted):
    views = VIEWS | {"decode"}
    names = {f"{view}_{v}.tflite" for view in views for v in ("float32", "float16", "dynamic")}
    assert {file.path.name for file in converted.files} == names | {f"{v}.onnx" for v in views}
    assert set(converted.left_out) == {
        *(f"generate_{v}.tflite" for v in ("float32", "float16", "dynamic")),
        "generate.onnx",
    }
    assert all("draws random numbers" in reason for reason in converted.left_out.values())


@pytest.mark.parametrize("rows", [1, 7, 40])
@pytest.mark.parametrize("view", sorted(VIEWS))
@pytest.mark.parametrize(
    ("ending", "tolerance"),
    [("_float32.tflite", 1e-5), ("_float16.tflite", 2e-3), ("_dynamic.tflite", 5e-2),
     (".onnx", 1e-5)],
)  # fmt: skip
def test_files_give_the_numbers_of_the_saved_model(
    converted, version, images, rows, view, ending, tolerance
):
    path = version.parent / "converted" / "1" / f"{view}{ending}"
    found = (run_onnx if ending == ".onnx" else run_tflite)(path, images[:rows])
    for value in served(version, view, images[:rows]).values():
        if value.dtype.kind == "f":
            key = f"f{value.ndim}"
            np.testing.assert_allclose(found[key], value, rtol=tolerance, atol=tolerance)
    if view == "classify":
        np.testing.assert_array_equal(found["i1"], found["f2"].argmax(axis=-1))


def test_what_is_reported_is_what_the_files_are(converted, version, images):
    found = {file.path.name: file for file in converted.files}
    assert all(file.bytes == file.path.stat().st_size for file in converted.files)
    sizes = [found[f"reconstruct_{v}.tflite"].bytes for v in ("float32", "float16", "dynamic")]
    assert sizes == sorted(sizes, reverse=True)
    file = found["classify_dynamic.tflite"]
    wanted = served(version, "classify", images)
    outputs = run_tflite(file.path, images)
    difference = np.abs(outputs["f2"] - wanted["probabilities"]).max()
    # The range of activations is that of a batch, so other batches round a little differently.
    assert file.difference == pytest.approx(difference, rel=0.5)
    assert file.same_class >= 0.9
    assert found["classify.onnx"].same_class == 1.0
    assert found["encode.onnx"].same_class is None


def test_a_version_stays_as_it_was_and_the_next_is_counted_on(version, converted):
    assert sorted(path.name for path in version.parent.iterdir()) == ["1", "converted"]
    assert sorted(path.name for path in version.iterdir()) == [
        "assets",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]
    model = tfssvae.models.M2((8, 8, 1), 10, **SMALL)
    assert export(model, version.parent, version=None).name == "2"


def test_signatures_of_floats_are_converted_by_name(fresh, images):
    floats = images.astype("float32") / 255
    (file,) = convert(fresh, images, onnx=True, signatures=["classify_float"]).files
    assert file.path.name == "classify_float.onnx"
    wanted = served(fresh, "classify", images)["probabilities"]
    np.testing.assert_allclose(run_onnx(file.path, floats)["f2"], wanted, atol=1e-5)


def test_a_file_is_never_overwritten(fresh, images):
    first = convert(fresh, images, tflite="float32", signatures=["classify"])
    before = first.files[0].path.stat().st_mtime_ns
    with pytest.raises(InputError, match=r"classify_float32\.tflite exists and is never"):
        convert(fresh, images, tflite=["float16", "float32"], signatures=["classify"])
    assert [path.name for path in first.files[0].path.parent.iterdir()] == [
        "classify_float32.tflite"
    ]
    assert first.files[0].path.stat().st_mtime_ns == before
    convert(fresh, images, tflite="float16", signatures=["classify"])


def changed(**changes):
    """Return a loader of TFLite files whose outputs are changed."""
    load = formats.load_tflite

    def load_changed(path, signature):
        run = load(path, signature)

        def call(**inputs):
            outputs = run(**inputs)
            return {**outputs, **{key: change(outputs) for key, change in changes.items()}}

        return call

    return load_changed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"probabilities": lambda o: o["probabilities"] + np.float32(0.25)},
            r"classify_float32\.tflite differs from the SavedModel by 0\.25, more than 0\.0001",
        ),
        ({"probabilities": lambda o: o["probabilities"] * np.nan}, "differs .* by inf|not those"),
        ({"classes": lambda o: (o["classes"] + 1) % 10}, "not those of its largest probabilities"),
        ({"probabilities": lambda o: o["probabilities"][:1]}, "it answers .* instead of"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_file_that_disagrees_is_refused_and_nothing_is_left(
    fresh, images, monkeypatch, changes, message
):
    monkeypatch.setattr(formats, "load_tflite", changed(**changes))
    with pytest.raises(ConversionError, match=message):
        convert(fresh, images, tflite="float32", onnx=True)
    assert [path.name for path in fresh.parent.iterdir()] == ["1"]


def test_a_file_that_its_runtime_cannot_run_is_left_out_and_said(fresh, images, monkeypatch):
    def broken(path, signature):
        raise RuntimeError("Node number 3 (ADD_N) failed to prepare.\nmore")

    monkeypatch.setattr(formats, "load_tflite", broken)
    found = convert(fresh, images, tflite="float16", onnx=True, signatures=["classify"])
    assert found.left_out == {"classify_float16.tflite": "Node number 3 (ADD_N) failed to prepare."}
    assert [file.path.name for file in found.files] == ["classify.onnx"]
    assert [path.name for path in found.files[0].path.parent.iterdir()] == ["classify.onnx"]


def test_where_nothing_can_be_converted_the_reason_is_given(fresh, images):
    with pytest.raises(ConversionError, match="nothing could be converted: it draws random"):
        convert(fresh, images, onnx=True, signatures=["generate"])
    assert [path.name for path in fresh.parent.iterdir()] == ["1"]


def test_half_precision_is_left_out(images, tmp_path):
    model = tfssvae.models.M2((8, 8, 1), 10, dtype="mixed_bfloat16", **SMALL)
    with pytest.raises(ConversionError, match="half precision, and TFLite files are float32"):
        convert(export(model, tmp_path), images, tflite="dynamic")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "name what to convert to"),
        ({"tflite": "int4"}, "unknown TFLite variant 'int4'"),
        ({"onnx": True, "signatures": ["clasify"]}, 'did you mean "classify"'),
        ({"onnx": True, "images": np.zeros((3, 9, 9), "uint8")}, "images must have shape"),
    ],
)
def test_bad_arguments_are_refused(fresh, images, arguments, message):
    with pytest.raises(InputError, match=message):
        convert(fresh, **{"images": images, **arguments})
    assert [path.name for path in fresh.parent.iterdir()] == ["1"]


def test_a_folder_that_is_no_version_is_refused(tmp_path, images):
    with pytest.raises(InputError, match="is no exported version: give the folder"):
        convert(tmp_path, images, onnx=True)


def test_a_missing_package_is_said_before_any_work(monkeypatch, tmp_path, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else find(name)
    )
    assert main(["export", str(tmp_path / "no run"), str(tmp_path / "served"), "--onnx"]) == 2
    said = capsys.readouterr().err
    assert "tf2onnx must be installed" in said
    assert install_hint("convert") in said
    assert not (tmp_path / "served").exists()


def test_the_command_line_prints_sizes_differences_and_classes(
    version, data, tmp_path, capsys, monkeypatch
):
    def export_run(run, directory, *arguments):
        number = 2 if (directory / "1").exists() else 1
        return shutil.copytree(version, directory / str(number)), data.x_test

    monkeypatch.setattr("tfssvae.runs.export_run", export_run)
    folder = tmp_path / "served"
    assert main(["export", "run", str(folder), "--tflite", "float16"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"wrote {folder / '1'}"
    (line,) = [line for line in lines if "classify_float16.tflite" in line]
    assert " kB, differs by " in line
    assert "same class for 100.0%" in line
    assert "left out generate_float16.tflite: it draws random numbers" in lines[-1]

    monkeypatch.setitem(agreement.TOLERANCES, "float16", 0.0)
    assert main(["export", "run", str(folder), "--tflite", "float16"]) == 1
    assert "differs from the SavedModel by" in capsys.readouterr().err
    assert (folder / "2" / "saved_model.pb").exists()
    assert not (folder / "converted" / "2").exists()


def test_a_sum_of_several_tensors_is_the_same_in_pairs(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def inner(x):
        return tf.add_n([x, 2 * x, x * x, tf.exp(x)])

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x")])
    def total(x):
        return {"y": tf.add_n([inner(x), x, inner(2 * x)])}

    module = tf.Module()
    module.total = total
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"total": total})
    x = tf.random.stateless_normal([5, 3], [1, 2])
    with prepare(tmp_path / "m") as prepared:
        function = tf.saved_model.load(str(prepared)).signatures["total"]
        graph = function.graph.as_graph_def()
        nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
        assert "AddV2" in {node.op for node in nodes}
        assert "AddN" not in {node.op for node in nodes}
        found = function(x=x)["y"]
    np.testing.assert_allclose(found, total(x)["y"], rtol=1e-6)


def test_requests_have_one_seven_and_more_examples():
    inputs = {"images": {"dtype": "uint8", "shape": [None, 2]}}
    interface = {"num_classes": 10, "signatures": {"f": {"inputs": inputs}}}

    def sizes(n):
        images = np.zeros((n, 2), "float32")
        requests = agreement.make_requests(interface, "f", images)
        assert all(request["images"].dtype == np.uint8 for request in requests)
        return [len(request["images"]) for request in requests]

    assert sizes(3) == [1, 7]
    assert sizes(8) == [1, 7]
    assert sizes(100) == [1, 7, 64, 28]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(tfssvae.METHODS))
def test_every_view_of_every_method_is_converted(name, data, tmp_path):
    model = tfssvae.METHODS[name]((8, 8, 1), 10, **SMALL_OF.get(name, SMALL))
    version = export(model, tmp_path)
    found = convert(version, data.x_test, tflite=["float32", "float16", "dynamic"], onnx=True)
    made = {file.path.name.split(".")[0].split("_")[0] for file in found.files}
    assert made >= VIEWS
    assert len(found.files) == 4 * len(made)
    left_out = {file.split(".")[0].split("_")[0] for file in found.left_out}
    assert left_out - {"decode"} == {"generate"}
