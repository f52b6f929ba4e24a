"""An exported model gives the model's numbers, and needs nothing of ours to do so."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import tfssvae
from tfssvae.checks import InputError
from tfssvae.serving import export

LABELS, SEED = np.array([3, 3, 9], "int32"), np.int32(7)
ARGUMENTS = {"labels": LABELS, "seed": SEED, "codes": np.ones((3, 4), "float32")}
VIEWS = ["serving_default", "classify", "encode", "reconstruct"]
FLOAT_VIEWS = ["classify_float", "encode_float", "reconstruct_float"]

# Runs every signature where neither this library nor Keras nor TFP can be imported.
ELSEWHERE = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *args):
        if name.split(".")[0] in ("tfssvae", "keras", "tf_keras", "tensorflow_probability"):
            return None
        return self.finder.find_spec(name, *args)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import numpy as np
import tensorflow as tf

path, inputs, results = sys.argv[1:]
inputs = np.load(inputs)
model = tf.saved_model.load(path)
found = {}
for name, function in model.signatures.items():
    wanted = function.structured_input_signature[1]
    if "images" not in wanted:
        values = {key: inputs[key] for key in wanted}
    else:
        values = {"images": inputs["uint8" if wanted["images"].dtype == tf.uint8 else "float32"]}
    outputs = function(**{key: tf.constant(value) for key, value in values.items()})
    found.update({f"{name}/{key}": value.numpy() for key, value in outputs.items()})
names = tf.io.read_file(model.class_names.asset_path).numpy().decode()
for name in ("tfssvae", "keras", "tf_keras", "tensorflow_probability"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} was not blocked")
np.savez(results, class_names=names, **found)
"""


@pytest.fixture(scope="module")
def data():
    return tfssvae.data.load("digits", labels_per_class=10, seed=0)


@pytest.fixture(scope="module")
def images(data):
    return data.x_test[:32]


def small_model(**arguments):
    return tfssvae.models.M2((8, 8, 1), 10, latent_dim=4, hidden=(32, 32), **arguments)


@pytest.fixture(scope="module")
def model(data):
    model = small_model()
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(data.train(50, 100), epochs=3, verbose=0)
    return model


@pytest.fixture(scope="module")
def names():
    return ["zéro", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.fixture(scope="module")
def path(model, names, tmp_path_factory):
    return export(model, tmp_path_factory.mktemp("models") / "m2", class_names=names)


@pytest.fixture(scope="module")
def served(path):
    return tf.saved_model.load(str(path)).signatures


@pytest.fixture(scope="module")
def elsewhere(path, images, tmp_path_factory):
    """The outputs of every signature, computed in a process that has only TensorFlow."""
    folder = tmp_path_factory.mktemp("elsewhere")
    as_floats = images.astype("float32") / 255
    np.savez(folder / "inputs.npz", uint8=images, float32=as_floats, **ARGUMENTS)
    arguments = [path, folder / "inputs.npz", folder / "results.npz"]
    subprocess.run([sys.executable, "-c", ELSEWHERE, *map(str, arguments)], check=True)
    return np.load(folder / "results.npz")


def expected(model, signature, images):
    """What the model itself gives: output name -> values."""
    view = signature.removesuffix("_float").removesuffix("_uint8")
    if view == "encode":
        return {"codes": model.encode(images)}
    if view == "reconstruct":
        return {"reconstructions": model.reconstruct(images)}
    probabilities = model.predict(images, verbose=0)
    return {"probabilities": probabilities, "classes": probabilities.argmax(axis=-1)}


def assert_serves(signatures, model, images, tolerance=1e-5):
    for name in VIEWS:
        outputs = signatures[name](images=tf.constant(images))
        for key, value in expected(model, name, images).items():
            np.testing.assert_allclose(outputs[key], value, rtol=tolerance, atol=tolerance)
    outputs = signatures["generate"](labels=tf.constant(LABELS), seed=tf.constant(SEED))
    np.testing.assert_allclose(
        outputs["generated_images"],
        model.generate(LABELS, seed=SEED),
        rtol=tolerance,
        atol=tolerance,
    )


@pytest.mark.parametrize("signature", VIEWS + FLOAT_VIEWS)
def test_views_without_our_code_are_those_of_the_model(elsewhere, model, images, signature):
    wanted = expected(model, signature, images)
    assert {key for key in elsewhere.files if key.startswith(f"{signature}/")} == {
        f"{signature}/{key}" for key in wanted
    }
    for key, value in wanted.items():
        found = elsewhere[f"{signature}/{key}"]
        assert found.dtype == ("int32" if key == "classes" else "float32")
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-5)


def test_generation_without_our_code_is_that_of_the_model(elsewhere, model):
    found = elsewhere["generate/generated_images"]
    np.testing.assert_allclose(found, model.generate(LABELS, seed=SEED), rtol=1e-5, atol=1e-5)
    assert np.abs(found - model.generate(LABELS, seed=SEED + 1)).max() > 0.01


def test_class_names_are_an_asset(elsewhere, path, names):
    assert str(elsewhere["class_names"]).splitlines() == names
    assert (path / "assets/class_names.txt").read_bytes().decode("utf-8").split("\n")[:-1] == names


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_the_batch_is_dynamic(served, model, images, rows):
    for name in VIEWS:
        outputs = served[name](images=tf.constant(images[:rows]))
        for key, value in expected(model, name, images).items():
            np.testing.assert_allclose(outputs[key], value[:rows], rtol=1e-5, atol=1e-5)


def test_interface_is_what_the_signatures_are(path, served):
    interface = json.loads((path / "assets/interface.json").read_text())
    assert interface["library"] == f"tfssvae {tfssvae.__version__}"
    assert interface["method"] == "M2"
    assert interface["input_shape"] == [8, 8, 1]
    assert interface["num_classes"] == 10

    def plain(specs):
        return {
            key: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
            for key, spec in specs.items()
        }

    assert interface["signatures"] == {
        name: {
            "inputs": plain(function.structured_input_signature[1]),
            "outputs": plain(function.structured_outputs),
        }
        for name, function in served.items()
    }
    for signature in interface["signatures"].values():
        assert not set(signature["inputs"]) & set(signature["outputs"])


@pytest.mark.parametrize(
    ("dtypes", "wanted"),
    [
        (("uint8", "float32"), {"classify": "uint8", "classify_float": "float32"}),
        (("float32", "uint8"), {"classify": "float32", "classify_uint8": "uint8"}),
        (("float32",), {"classify": "float32"}),
        ("uint8", {"classify": "uint8"}),
    ],
)
def test_the_first_input_dtype_has_the_plain_names(model, tmp_path, dtypes, wanted):
    path = export(model, tmp_path, input_dtypes=dtypes)
    interface = json.loads((path / "assets/interface.json").read_text())["signatures"]
    found = {name: interface[name]["inputs"]["images"]["dtype"] for name in wanted}
    assert found == wanted
    assert len(interface) == 3 + 6 * len(wanted)
    assert interface["serving_default"] == interface["classify"]


def test_only_variables_that_serving_reads_are_exported(path, model):
    variables = tf.train.list_variables(str(path / "variables" / "variables"))
    exported = sum(int(np.prod(shape)) for _, shape in variables if shape)
    assert exported == sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_no_type_that_a_server_would_have_to_import(path):
    content = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graph = content.meta_graphs[0].object_graph_def
    kinds = {n.user_object.identifier for n in graph.nodes if n.HasField("user_object")}
    assert kinds <= {"_generic_user_object", "trackable_list_wrapper", "signature_map"}
    for proto in (b"TypeSpecProto", b"keras", b"tensorflow_probability", b".py"):
        assert proto not in graph.SerializeToString()


@pytest.mark.parametrize("bad", [255.0, -0.01, np.nan])
@pytest.mark.parametrize("signature", FLOAT_VIEWS)
def test_floats_outside_the_range_are_refused_when_served(served, signature, bad):
    x = np.full((2, 8, 8, 1), 0.5, "float32")
    x[1, 3, 3] = bad
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"images must be floats in 0\.\.1"):
        served[signature](images=tf.constant(x))


@pytest.mark.parametrize("bad", [10, -1])
def test_labels_out_of_range_are_refused_when_served(served, bad):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels must be in 0\.\.9"):
        served["generate"](labels=tf.constant([0, bad]), seed=tf.constant(0))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, NumPy 2
def test_a_loaded_model_with_state_of_its_own_is_exported(data, images, tmp_path):
    classifier = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dense(10),
        ]
    )
    model = small_model(classifier=classifier, likelihood="gaussian")
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(data.train(50, 100), epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    path = export(keras.saving.load_model(tmp_path / "model.keras"), tmp_path / "served")
    assert_serves(tf.saved_model.load(str(path)).signatures, model, images)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_a_mixed_precision_model_is_exported(images, tmp_path, precision):
    model = small_model(dtype=precision)
    path = export(model, tmp_path)
    signatures = tf.saved_model.load(str(path)).signatures
    assert signatures["classify"].structured_outputs["probabilities"].dtype == tf.float32
    assert_serves(signatures, model, images)


def test_a_second_export_has_the_weights_of_its_moment(images, tmp_path):
    model = small_model()
    first = export(model, tmp_path)
    before = model.predict(images, verbose=0)
    model.classifier.set_weights([2 * w + 0.1 for w in model.classifier.get_weights()])
    second = export(model, tmp_path)
    assert (first.name, second.name) == ("1", "2")
    assert np.abs(model.predict(images, verbose=0) - before).max() > 0.01
    assert_serves(tf.saved_model.load(str(second)).signatures, model, images)
    found = tf.saved_model.load(str(first)).signatures["classify"](images=tf.constant(images))
    np.testing.assert_allclose(found["probabilities"], before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_names": ["a", "b"]}, "one name for each of the 10 classes, got 2"),
        ({"class_names": ["a\n", *"bcdefghij"]}, r"one line of text each, got 'a\\n'"),
        ({"class_names": ["", *"bcdefghij"]}, "one line of text each, got ''"),
        ({"version": -1}, "version must be a whole number, 0 or more, got -1"),
        ({"version": "2"}, "version must be a whole number, 0 or more, got '2'"),
        ({"input_dtypes": ()}, r'"uint8", "float32" or both, the preferred first, got \(\)'),
        ({"input_dtypes": ("uint8", "int64")}, "or both, the preferred first, got"),
        ({"input_dtypes": ("uint8", "uint8")}, "or both, the preferred first, got"),
        ({"score_samples": 0}, "score_samples must be"),
        ({"examples": np.zeros((2, 9, 9, 1), "uint8")}, "examples must have shape"),
        ({"provenance": {"loss": float("nan")}}, "provenance must be what JSON can say"),
        ({"provenance": {"data": object()}}, "provenance must be what JSON can say"),
    ],
)
def test_bad_arguments_are_refused(model, tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        export(model, tmp_path / "m2", **arguments)
    assert not (tmp_path / "m2").exists()


@pytest.mark.parametrize("other", [keras.Sequential(), "runs/m2/model.keras", None])
def test_anything_but_a_model_of_this_library_is_refused(tmp_path, other):
    with pytest.raises(InputError, match=f"such as M2, got {type(other).__name__}: load"):
        export(other, tmp_path)


def test_an_existing_version_is_refused_and_stays(path, model):
    before = (path / "saved_model.pb").read_bytes()
    with pytest.raises(InputError, match="version 1 exists"):
        export(model, path.parent, version=1)
    assert (path / "saved_model.pb").read_bytes() == before
