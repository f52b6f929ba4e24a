"""Model files and weights made to do harm: what each would do, and that it is refused."""

import base64
import io
import json
import os
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest

import tfssvae
from tfssvae import model_files
from tfssvae.checks import InputError
from tfssvae.limits import UnreadableFile

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")


def new_model(**arguments):
    return tfssvae.models.M2((4, 4, 1), 3, latent_dim=2, hidden=(4,), seed=0, **arguments)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m2.keras"
    new_model().save(path)
    return path


@pytest.fixture
def change(whole, tmp_path):
    """Return a function that writes the file again with another description or other members."""

    def write(description=None, **others):
        with zipfile.ZipFile(whole) as archive:
            members = {name: archive.read(name) for name in MEMBERS}
        if description is not None:
            members["config.json"] = json.dumps(description).encode()
        path = tmp_path / "changed.keras"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in {**members, **others}.items():
                archive.writestr(name, content)
        return path

    return write


def description_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


@pytest.mark.parametrize("name", tfssvae.METHODS)
def test_what_the_methods_save_is_harmless(name):
    method = tfssvae.METHODS[name]
    arguments = {"latent_dim": 2} if name not in ("lvae", "cagem") else {}
    shape = (8, 8, 1)
    model = method(shape, 3, regularizers=method.paper_regularizers(), **arguments)
    model.compile("adam", metrics=["accuracy"])
    model_files.check_parts(keras.saving.serialize_keras_object(model), "here")


def test_a_model_with_many_parts_comes_back(tmp_path):
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, 10)
    chain = tfssvae.layers.Chain([tfssvae.layers.RandomFlip(), tfssvae.layers.RandomCrop(1)])
    regularizers = [tfssvae.regularizers.MIER(), tfssvae.regularizers.MeanTeacher()]
    model = new_model(
        regularizers=regularizers,
        augment=chain,
        weights={"*_kl_z": tfssvae.training.linear_ramp(1.0, 5)},
        dtype="mixed_float16",
    )
    model.compile(keras.optimizers.AdamW(schedule), metrics=["accuracy"])
    model.prepare()
    model.save(tmp_path / "m.keras")
    found = model_files.load_model(tmp_path / "m.keras")
    x = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
    np.testing.assert_array_equal(found.predict(x, verbose=0), model.predict(x, verbose=0))


def lambda_layer(sprung):
    layer = keras.layers.Lambda(lambda x, path=str(sprung): (open(path, "w").close(), x)[1])
    return keras.saving.serialize_keras_object(layer)


def test_a_lambda_layer_is_refused_and_not_run(whole, change, tmp_path):
    # Its byte code is in the file, and runs when the layer is called.
    sprung = tmp_path / "sprung"
    description = description_of(whole)
    layer = lambda_layer(sprung)
    description["config"]["augment"] = layer
    with pytest.raises(InputError, match=r"changed\.keras names 'keras\.layers' 'Lambda'"):
        model_files.load_model(change(description))
    assert not sprung.exists()
    keras.saving.deserialize_keras_object(layer, safe_mode=False)(np.zeros((1, 2)))
    assert sprung.exists(), "the trap would have caught a loader that runs it"


def part(module, name, config=None, registered=None):
    found = {"module": module, "class_name": name, "config": config or {}}
    return {**found, "registered_name": registered}


@pytest.mark.parametrize(
    "evil",
    [
        part("builtins", "__lambda__", {"value": [base64.b64encode(b"code").decode(), None, None]}),
        part("keras.layers", "TFSMLayer", {"filepath": "/tmp/saved_model"}),
        part("keras.layers", "TorchModuleWrapper", {"module": "AAAA"}),
        part("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
        part("keras.layers", "TextVectorization", {"vocabulary": "/etc/passwd"}),
        part("os", "system", {"command": "true"}),
        part("subprocess", "Popen", {"args": "true"}),
        part("tensorflow", "function", "py_function"),
        part("builtins", "function", "tfssvae>unknown"),
        part("keras.utils", "function", "get_file"),
        part("numpy", "load", {"file": "/etc/passwd"}, "tfssvae>Nothing"),
        part(None, "Dense", {"units": 3}),
        part("keras", ["Dense"], {"units": 3}),
        part("kerasx.layers", "Dense", {"units": 3}),
        {"class_name": "Lambda", "config": {}},
    ],
    ids=lambda value: str(value["class_name"]) if isinstance(value, dict) else None,
)
def test_parts_that_are_code_or_name_files(whole, change, evil, tmp_path):
    description = description_of(whole)
    description["config"]["encoder"]["config"]["features"][0] = {"deep": [{"in": evil}]}
    with pytest.raises(InputError, match=r"changed\.keras names .* may not bring code or files"):
        model_files.load_model(change(description))
    # The same parts in config.json of a run.
    from tfssvae.runs.build import revived

    inside = part("tfssvae.layers", "Chain", {"steps": [evil]}, "tfssvae>Chain")
    with pytest.raises(InputError, match="may not"):
        revived({"augment": inside})


def test_a_description_may_not_make_what_the_file_does_not_hold(whole, change):
    # "units": a billion made a matrix of 64 GiB before any weight was read.
    text = json.dumps(description_of(whole)).replace('"units": 4', '"units": 100000000')
    with pytest.raises(InputError, match=r"changed\.keras asks for .* MiB and has 0\.\d MiB"):
        model_files.load_model(change(json.loads(text)))


def test_a_description_nested_without_end(change):
    with pytest.raises(InputError, match="nested too deeply"):
        model_files.load_model(change(**{"config.json": "[" * 100_000}))


@pytest.mark.parametrize("name", ["../../sprung", "/tmp/sprung", "assets/vocabulary.txt"])
def test_members_that_do_not_belong(change, name):
    with pytest.raises(InputError, match=r"changed\.keras is damaged: it holds .* instead of"):
        model_files.load_model(change(**{name: b"x"}))


def test_a_member_twice(whole, tmp_path):
    # One reader takes the first and another the last.
    path = tmp_path / "twice.keras"
    path.write_bytes(whole.read_bytes())
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("config.json", "{}")
    with pytest.raises(InputError, match=r"config\.json, config\.json"):
        model_files.load_model(path)


def test_a_member_that_unpacks_to_far_more_than_it_has(whole, tmp_path):
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in MEMBERS:
            archive.writestr(name, bytes(100 * 2**20) if name == MEMBERS[2] else b"{}")
    with pytest.raises(InputError, match=r"bomb\.keras asks for 100 MiB and has 0\.1 MiB"):
        model_files.load_model(path)


def test_another_model_than_a_model(change):
    value = {"class_name": "__bytes__", "config": {"value": "x"}, "module": "builtins"}
    with pytest.raises(InputError, match=r"changed\.keras"):
        model_files.load_model(change(value))


def first_dataset(root):
    names = []
    root.visititems(lambda name, entry: names.append(name) if hasattr(entry, "shape") else None)
    return next(name for name in names if len(root[name].shape) == 2)


def external_link(root, name, secret):
    del root[name]
    root[name] = h5py.ExternalLink(str(secret), "data")


def soft_link(root, name, secret):
    del root[name]
    root[name] = h5py.SoftLink("/elsewhere")


def external_data(root, name, secret):
    shape, dtype = root[name].shape, root[name].dtype
    del root[name]
    root.create_dataset(name, shape, dtype, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def virtual_data(root, name, secret):
    shape, dtype = root[name].shape, root[name].dtype
    layout = h5py.VirtualLayout(shape, dtype)
    layout[:] = h5py.VirtualSource(str(secret), "data", shape)
    del root[name]
    root.create_virtual_dataset(name, layout)


def absurd_shape(root, name, secret):
    del root[name]
    root.create_dataset(name, (2**20, 2**20), "f4", chunks=(1024, 1024), compression="gzip")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (external_link, "points to another place or file"),
        (soft_link, "points to another place or file"),
        (external_data, "from another file"),
        (virtual_data, "from another file"),
        (absurd_shape, "asks for 4,194,304 MiB"),
    ],
)
def test_weights_that_are_elsewhere(whole, change, tmp_path, harm, message):
    # The content of another file of this machine would become weights, which then are published.
    secret = tmp_path / "secret.h5"
    weights = tmp_path / "model.weights.h5"
    with zipfile.ZipFile(whole) as archive:
        weights.write_bytes(archive.read("model.weights.h5"))
    with h5py.File(weights, "r+") as root:
        name = first_dataset(root)
        with h5py.File(secret, "w") as other:
            other["data"] = np.ones(root[name].shape, "f4")
        harm(root, name, secret)
    with pytest.raises(InputError, match=rf"changed\.keras .*{message}"):
        model_files.load_model(change(**{"model.weights.h5": weights.read_bytes()}))
    model = new_model()
    before = model.get_weights()
    with pytest.raises(InputError, match=rf"model\.weights\.h5 .*{message}"):
        model_files.load_weights(model, weights)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_groups_that_hold_one_another(tmp_path):
    with h5py.File(tmp_path / "model.weights.h5", "w") as root:
        root["a"] = np.ones(3)
        root.create_group("b")["root"] = root["/"]
    with pytest.raises(InputError, match="does not fit"):
        model_files.load_weights(new_model(), tmp_path / "model.weights.h5")


def test_weights_that_are_no_weights(tmp_path):
    path = tmp_path / "model.weights.h5"
    with pytest.raises(UnreadableFile, match="no file"):
        model_files.load_weights(new_model(), path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    with pytest.raises(UnreadableFile, match="damaged"):
        model_files.load_weights(new_model(), path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnreadableFile, match="pipe"):
        model_files.load_weights(new_model(), path)


def test_weights_with_text_for_numbers(whole, change):
    with zipfile.ZipFile(whole) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "r+") as root:
        name = first_dataset(root)
        shape = root[name].shape
        del root[name]
        root[name] = np.full(shape, "text", h5py.string_dtype())
    with pytest.raises(InputError, match=r"changed\.keras is damaged"):
        model_files.load_model(change(**{"model.weights.h5": content.getvalue()}))


def test_weights_of_variable_length_that_all_refer_to_one_place(tmp_path):
    # Every element claims 16 bytes and unpacks to the whole object that all of them share.
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        kind = h5py.vlen_dtype(np.dtype("float32"))
        shared = file.create_dataset("vars/0", (1,), dtype=kind)
        shared[0] = np.zeros(1000, "float32")
    with pytest.raises(UnreadableFile, match="weights are numbers"):
        model_files.load_weights(new_model(), path)
