"""Versions that appear and vanish while the development server runs."""

import shutil
import threading
import time

import numpy as np
import pytest

from tests.serving.development_server.asking import (
    IMAGE,
    SETTINGS,
    as_json,
    outputs_of,
    predict,
    send,
)
from tfssvae.serving.development.server import Settings, running

pytestmark = pytest.mark.xdist_group("development server")


def eventually(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_new_versions_are_taken_up_and_broken_ones_are_not(folders, direct, tmp_path, caplog):
    root = tmp_path / "m"
    shutil.copytree(folders["m2"] / "1", root / "1")
    shutil.copytree(folders["m2"] / "2", root / ".partial-0a" / "2")
    (root / "notes").mkdir()
    (root / "4").write_text("a file")
    inputs = {"images": IMAGE[None]}
    wanted = {v: outputs_of(direct, "classify", inputs, v)["probabilities"] for v in ("1", "2")}

    with running({"m": root}, Settings(**SETTINGS, poll_seconds=0.05)) as ports:

        def states():
            entries = send(ports, "GET", "/v1/models/m")[1]["model_version_status"]
            return {entry["version"]: entry["state"] for entry in entries}

        def served():
            status, answer = predict(ports, "/v1/models/m:predict", inputs=as_json(inputs))
            assert status == 200, answer
            found = answer["outputs"]["probabilities"]
            return [v for v, p in wanted.items() if np.allclose(found, p, rtol=1e-5)]

        assert states() == {"1": "AVAILABLE"}
        assert served() == ["1"]

        (root / "3").mkdir()
        (root / "3" / "saved_model.pb").write_bytes(b"half a model")
        eventually(lambda: states() == {"3": "END", "1": "AVAILABLE"})
        assert served() == ["1"]
        status, answer = predict(ports, "/v1/models/m/versions/3:predict", instances=[1])
        assert status == 404
        assert "Specific(m, 3)" in answer["error"]
        assert send(ports, "GET", "/health")[0] == 200

        found, stopped = [], threading.Event()

        def ask():
            while not stopped.is_set():
                found.extend(served())

        asking = threading.Thread(target=ask)
        asking.start()
        eventually(lambda: found)
        shutil.copytree(folders["m2"] / "2", root / "3", dirs_exist_ok=True)
        eventually(lambda: "2" in found)
        stopped.set()
        asking.join()
        assert states() == {"3": "AVAILABLE", "1": "AVAILABLE"}
        assert found == sorted(found)
        assert found[0] == "1"

        shutil.rmtree(root / "3")
        eventually(lambda: states() == {"1": "AVAILABLE"})
        assert served() == ["1"]
        shutil.rmtree(root / "1")
        eventually(lambda: send(ports, "GET", "/v1/models/m")[0] == 404)
        assert predict(ports, "/v1/models/m:predict", instances=[1])[0] == 404
        assert send(ports, "GET", "/health") == (503, {"error": "no version is served: m"})
    assert "version 3 cannot be loaded" in caplog.text
