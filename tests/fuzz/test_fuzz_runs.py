"""Whatever stands in a run folder: it is read, or one sentence says why not."""

import io
import json
import shutil
import warnings
import zipfile

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfssvae
from tests.fuzz.mutations import changed_bytes, changed_value, found_or_refused, json_bytes
from tfssvae import checked_json, model_files
from tfssvae.cli.arguments import assignments, part
from tfssvae.cli.train import AUGMENTATIONS
from tfssvae.regularizers import REGULARIZERS
from tfssvae.runs import load_run_data, read_config
from tfssvae.runs.build import build
from tfssvae.training import restore_latest

CONFIG = {
    "method": "m2",
    "data": {"name": "digits", "labels_per_class": 2, "seed": 0, "image_size": None, "grey": False},
    "model": {"hidden": [4], "latent_dim": 2, "regularizers": []},
    "epochs": 2,
    "labelled": 10,
    "unlabelled": 20,
    "unfeatured": 0,
    "learning_rate": 0.001,
    "driver": "loop",
    "precision": "float32",
    "checkpoint_seconds": 30.0,
}
METRICS = {
    "seconds": 1.5,
    "history": {"loss": [2.0, 1.0], "accuracy": [0.1, 0.2]},
    "environment": {"python": "3", "platform": "p", "devices": "CPU"},
    "test": {"accuracy": 0.5, "recall": {"0": 0.5}, "kl_z_per_unit": [0.1, 0.2]},
    "labels_alone": {"accuracy": 0.4},
}


def new_model(**arguments):
    model = tfssvae.models.M2((8, 8, 1), 10, latent_dim=2, hidden=(4,), seed=0, **arguments)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), metrics=["accuracy"])
    model.prepare()
    return model


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder without the hours of training."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    tfssvae.data.load("digits", labels_per_class=2).save_split(folder / "split.json")
    schedule = keras.optimizers.schedules.ExponentialDecay(1.0, 10, 0.9)
    parts = {"regularizers": [tfssvae.regularizers.MIER()], "weights": {"*_kl_z": schedule}}
    new_model(**parts).save(folder / "model.keras")
    model = new_model()
    step = folder / "checkpoints" / "step-000000001"
    step.mkdir(parents=True)
    model.save_weights(step / "model.weights.h5")
    metrics = [variable.numpy().tolist() for variable in model.metrics_variables]
    state = {"epoch": 1, "step": 1, "seconds": 1.0, "history": {"loss": [1.0]}}
    state |= {"metrics": metrics, "best": None, "context": {"config": CONFIG, "rollbacks": []}}
    (step / "state.json").write_text(json.dumps(state))
    return folder


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def changed(path):
    """Return a strategy of JSON files near one."""
    return json_bytes(json.loads(path.read_text()))


def test_the_folder_that_is_changed_is_whole(copy):
    assert load_run_data(copy, read_config(copy)).num_classes == 10
    assert isinstance(model_files.load_model(copy / "model.keras"), tfssvae.models.M2)
    assert restore_latest(new_model(), copy / "checkpoints")["step"] == 1


def test_configurations_and_their_data(copy):
    @given(changed(copy / "config.json"))
    def search(content):
        (copy / "config.json").write_bytes(content)
        config = found_or_refused(lambda: read_config(copy))
        if config is not None:
            assert config["method"] in tfssvae.METHODS
            data = found_or_refused(lambda: load_run_data(copy, config))
            assert data is None or len(data.x_train) == len(data.hidden_labels)

    search()


def test_models_of_configurations(copy):
    data = load_run_data(copy, CONFIG)
    data = tfssvae.data.from_arrays(data.x_train[:90], data.hidden_labels[:90])

    @settings(max_examples=settings.default.max_examples // 10)
    @given(changed_value(CONFIG))
    def search(content):
        (copy / "config.json").write_text(json.dumps(content))
        config = found_or_refused(lambda: read_config(copy))
        if config is not None:
            model = found_or_refused(lambda: build(config, data))
            assert model is None or type(model) is tfssvae.METHODS[config["method"]]

    search()


def test_metrics(copy):
    path = copy / "metrics.json"

    @given(changed(path))
    def search(content):
        path.write_bytes(content)
        metrics = found_or_refused(lambda: checked_json.read_metrics(path))
        assert metrics is None or {"seconds", "history", "environment"} <= set(metrics)

    search()


def test_states_of_checkpoints(copy):
    path = copy / "checkpoints/step-000000001/state.json"
    model = new_model()

    @given(changed(path))
    def search(content):
        path.write_bytes(content)
        state = found_or_refused(lambda: restore_latest(model, copy / "checkpoints"))
        assert state is None or {"epoch", "step", "seconds", "history"} <= set(state)

    search()


def test_weights_of_checkpoints(copy):
    path = copy / "checkpoints/step-000000001/model.weights.h5"
    model = new_model()

    @given(changed_bytes(path.read_bytes()))
    def search(content):
        path.write_bytes(content)
        state = found_or_refused(lambda: restore_latest(model, copy / "checkpoints"))
        assert state is None or state["step"] == 1

    search()


def opened(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of optimizers that do not fit
        model = found_or_refused(lambda: model_files.load_model(path))
    assert model is None or isinstance(model, keras.Model)


def test_model_files_with_changed_bytes(copy):
    path = copy / "model.keras"

    @settings(max_examples=settings.default.max_examples // 3)
    @given(changed_bytes(path.read_bytes()))
    def search(content):
        path.write_bytes(content)
        opened(path)

    search()


def archive(members) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in members:
            made.writestr(name, content)
    return file.getvalue()


def test_model_files_with_changed_members(copy):
    path = copy / "model.keras"
    with zipfile.ZipFile(path) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    config = json.loads(members["config.json"])

    @given(
        st.one_of(
            changed_value(config).map(lambda v: {"config.json": json.dumps(v).encode()}),
            changed_bytes(members["config.json"]).map(lambda b: {"config.json": b}),
            changed_bytes(members["model.weights.h5"]).map(lambda b: {"model.weights.h5": b}),
        )
    )
    def search(other):
        path.write_bytes(archive((members | other).items()))
        opened(path)

    search()


TEXTS_OF_VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["1", "-1", "1e400", "(" * 9000, "None", "'a'", "[1, 2]", "9" * 5000, "\0"]),
)


def test_settings_on_the_command_line():
    @given(st.lists(st.one_of(st.text(max_size=20), TEXTS_OF_VALUES.map("a=".__add__))))
    def search(pairs):
        found = found_or_refused(lambda: assignments(pairs))
        assert found is None or set(found) == {pair.partition("=")[0] for pair in pairs}

    search()


@pytest.mark.parametrize("option", ["regularizer", "augment"])
def test_parts_on_the_command_line(option):
    if option == "regularizer":
        known = dict(REGULARIZERS)
    else:
        known = {name: getattr(tfssvae.layers, cls) for name, cls in AUGMENTATIONS.items()}
    names = ["beta", "gamma", "alpha", "padding", "degrees", "magnitude", "decay", "seed", "name"]
    setting = st.tuples(st.sampled_from(names), TEXTS_OF_VALUES).map("=".join)

    @given(st.sampled_from(sorted(known)), st.lists(setting, max_size=3))
    def search(name, chosen):
        found = found_or_refused(lambda: part(f"--{option}", f"{name}:{','.join(chosen)}", known))
        assert found is None or type(found) is known[name]

    search()
