"""The files of deploy/ parse and agree with each other, and the scripts among them run."""

import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

import tfssvae
from tests.serving.fake_serving import Backend, GrpcServer, RestServer
from tfssvae.serving import Client, export

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERVERS = ("serving", "serving-batched")

# tensorflow-serving-api has neither of these two messages: name -> (number, type).
SCHEMAS = {
    "BatchingParameters": {
        "max_batch_size": (1, "Int64Value"),
        "batch_timeout_micros": (2, "Int64Value"),
        "max_enqueued_batches": (3, "Int64Value"),
        "num_batch_threads": (4, "Int64Value"),
    },
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
}


def read(name):
    return (DEPLOY / name).read_text()


def schema(name):
    kinds = descriptor_pb2.FieldDescriptorProto
    wrappers = "google/protobuf/wrappers.proto"
    file = descriptor_pb2.FileDescriptorProto(
        name="config.proto", package="config", syntax="proto3", dependency=[wrappers]
    )
    for message, fields in SCHEMAS.items():
        declared = file.message_type.add(name=message)
        for field, (number, kind) in fields.items():
            if kind[0].islower():
                declared.field.add(
                    name=field,
                    number=number,
                    type=kinds.Type.Value(f"TYPE_{kind.upper()}"),
                    label=1,
                )
                continue
            package = "config" if kind in SCHEMAS else "google.protobuf"
            declared.field.add(
                name=field,
                number=number,
                type="TYPE_MESSAGE",
                type_name=f".{package}.{kind}",
                label=1,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"config.{name}"))()


@pytest.fixture(scope="module")
def models():
    config = text_format.Parse(read("models.config"), model_server_config_pb2.ModelServerConfig())
    return {model.name: model for model in config.model_config_list.config}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(read("compose.yaml"))


@pytest.fixture(scope="module")
def batching():
    return text_format.Parse(read("batching.config"), schema("BatchingParameters"))


@pytest.fixture(scope="module")
def monitoring():
    return text_format.Parse(read("monitoring.config"), schema("MonitoringConfig"))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    model = tfssvae.models.M2((28, 28, 1), 10, latent_dim=4, hidden=(16,), seed=0)
    return export(model, tmp_path_factory.mktemp("models"))


def flags(service):
    return dict(flag.removeprefix("--").split("=") for flag in service["command"])


def published(service):
    """Port outside -> port inside."""
    ports = [re.fullmatch(r"127\.0\.0\.1:(\d+):(\d+)", port).groups() for port in service["ports"]]
    return dict(ports)


def test_two_models_with_labels_of_versions_that_are_loaded(models):
    assert list(models) == ["mnist_m2", "mnist_adgm"]
    for name, model in models.items():
        assert model.model_platform == "tensorflow"
        assert model.base_path == f"/models/{name}"
    labelled = models["mnist_m2"]
    assert dict(labelled.version_labels) == {"stable": 1, "canary": 2}
    versions = labelled.model_version_policy.specific.versions
    assert set(labelled.version_labels.values()) <= set(versions)
    assert models["mnist_adgm"].model_version_policy.latest.num_versions == 1


def test_a_batch_has_room_for_the_requests_of_the_client(batching):
    size = inspect.signature(Client).parameters["batch_size"].default
    assert batching.max_batch_size.value == size
    assert batching.num_batch_threads.value >= 1
    assert batching.batch_timeout_micros.value > 0
    assert batching.max_enqueued_batches.value > 0


def test_generate_is_what_cannot_be_batched(path):
    backend = Backend(path)
    scalar = {
        name
        for name, function in backend.signatures.items()
        if any(spec.shape.rank == 0 for spec in function.structured_input_signature[1].values())
    }
    assert scalar == {"generate"}
    assert re.search(r"`generate` has not: its seed is a scalar", read("batching.config"))
    assert re.search(r"\| `generate` \| no, its `seed` is a scalar", read("README.md"))


def test_files_and_flags_of_the_servers(compose):
    for name in SERVERS:
        service = compose["services"][name]
        assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", service["image"])
        assert service["volumes"] == ["../saved_models:/models:ro", ".:/config:ro"]
        assert service["read_only"]
        set_to = flags(service)
        files = {key: value for key, value in set_to.items() if key.endswith("_file")}
        assert {"model_config_file", "monitoring_config_file"} <= set(files)
        for value in files.values():
            assert (DEPLOY / Path(value).relative_to("/config")).is_file()
        assert sorted(published(service).values()) == [set_to["port"], set_to["rest_api_port"]]
        limits = service["deploy"]["resources"]["limits"]
        assert set(limits) == {"cpus", "memory"}
    plain, batched = (flags(compose["services"][name]) for name in SERVERS)
    assert batched == {
        **plain,
        "enable_batching": "true",
        "batching_parameters_file": "/config/batching.config",
    }
    # With labels in the file from the start, the server does not start without this.
    assert plain["allow_version_labels_for_unavailable_models"] == "true"
    assert compose["services"]["serving-batched"]["profiles"] == ["batching"]


def test_no_port_is_published_twice(compose):
    ports = [port for service in compose["services"].values() for port in published(service)]
    assert len(ports) == len(set(ports)) == 5


def test_the_health_of_every_model_is_checked_on_the_rest_port(compose, models):
    for name in SERVERS:
        service = compose["services"][name]
        kind, shell, script, port, *names = service["healthcheck"]["test"]
        assert (kind, shell) == ("CMD", "bash")
        assert (DEPLOY / Path(script).relative_to("/config")).is_file()
        assert port == flags(service)["rest_api_port"]
        assert names == list(models)


def test_prometheus_finds_the_metrics(compose, monitoring):
    assert monitoring.prometheus_config.enable
    (job,) = yaml.safe_load(read("prometheus.yml"))["scrape_configs"]
    assert job["metrics_path"] == monitoring.prometheus_config.path
    targets = [target for config in job["static_configs"] for target in config["targets"]]
    assert targets == [f"serving:{flags(compose['services']['serving'])['rest_api_port']}"]
    service = compose["services"]["prometheus"]
    assert re.fullmatch(r"prom/prometheus:v\d+\.\d+\.\d+", service["image"])
    (mounted,) = [v for v in service["volumes"] if v.startswith("./")]
    assert mounted == "./prometheus.yml:/etc/prometheus/prometheus.yml:ro"
    assert set(service["depends_on"]) <= set(compose["services"])


def test_the_readme_names_every_file_and_the_ports_that_are_open(compose, models, monitoring):
    text = read("README.md")
    for file in DEPLOY.iterdir():
        if file.is_file() and file.name != "README.md":
            assert f"`{file.name}`" in text
    ports = {port for service in compose["services"].values() for port in published(service)}
    assert set(re.findall(r"localhost:(\d+)", text)) == ports
    for name in [*models, *models["mnist_m2"].version_labels, monitoring.prometheus_config.path]:
        assert name in text
    flags_of_text = set(re.findall(r"--(\w+)=", text))
    assert flags_of_text <= set(flags(compose["services"]["serving"]))


def check(*arguments):
    command = ["bash", str(DEPLOY / "healthcheck.sh"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def test_health_check(path):
    backend = Backend(path)
    backend.models = {"mnist_m2", "mnist_adgm"}
    server = RestServer(backend)
    where = ["-h", "127.0.0.1", server.port]
    try:
        found = check(*where, "mnist_m2", "mnist_adgm")
        assert (found.returncode, found.stderr) == (0, "")
        missing = check(*where, "mnist_m2", "mnist_m1")
        assert missing.returncode == 1
        assert "mnist_m1 is not available" in missing.stderr
        assert "Could not find any versions" in missing.stderr
        backend.state = "LOADING"
        assert check(*where, "mnist_m2").returncode == 1
    finally:
        server.close()
    gone = check(*where, "mnist_m2")
    assert gone.returncode == 1
    assert "nobody answers" in gone.stderr
    assert check("8501").returncode == 2


@pytest.mark.parametrize(
    ("script", "server", "printed"),
    [
        ("rest_client.py", RestServer, r"version 2: AVAILABLE.*image 4: class \d .*refused by the"),
        ("grpc_client.py", GrpcServer, r"1000 images as codes of size 4\nmean error .*: 0\.\d+"),
    ],
)
def test_examples_run(path, monkeypatch, capsys, script, server, printed):
    running = server(Backend(path))
    monkeypatch.setattr(sys, "argv", [script, running.address])
    try:
        runpy.run_path(str(DEPLOY / script), run_name="__main__")
    finally:
        running.close()
    assert re.search(printed, capsys.readouterr().out, re.DOTALL)


def test_examples_of_the_readme_run(path, capsys):
    backend = Backend(path)
    servers = {"http://localhost:8501": RestServer(backend), "localhost:8500": GrpcServer(backend)}
    text = (ROOT / "saved_models/README.md").read_text()
    examples = [
        code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "Client" in code
    ]
    try:
        for code in examples:
            for address, server in servers.items():
                code = code.replace(f'Client("{address}"', f'Client("{server.address}"')
            exec(code, {})
    finally:
        for server in servers.values():
            server.close()
    printed = capsys.readouterr().out
    assert len(examples) == 2
    assert "AVAILABLE" in printed
    assert printed.endswith("(3, 28, 28, 1)\n")
