"""Deploying: train, export, serve, and ask the server.

    pip install -e ".[serving]"
    python examples/deploying.py --out runs/deploying

The server is `tfssvae serve`, which answers as TensorFlow Serving does: the client stays the same.
"""

import argparse
import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tfssvae
from tfssvae.serving import Client


# --8<-- [start:export]
def train_and_export(folder: Path, epochs: int) -> tuple[Path, tfssvae.data.Data]:
    """Train M2 on digits and export it as the next version in a folder."""
    data = tfssvae.data.load("digits", labels_per_class=10, seed=0)
    steps = epochs * 7  # an epoch: 1338 images without a label, 200 a step
    weights = tfssvae.models.M2.recommended_weights(100, 1338, 64, steps=steps)
    model = tfssvae.models.M2(data.input_shape, data.num_classes, weights=weights)
    model.compile(keras.optimizers.Adam(1e-3))
    tfssvae.training.train(model, data, epochs=epochs, labelled=100, unlabelled=200, verbose=0)
    path = tfssvae.serving.export(
        model,
        folder,
        class_names=data.class_names,
        examples=data.x_test,  # for warm-up requests: the first real request is then fast
        provenance={"data": data.name, "labels": len(data.labelled_indices)},
    )
    return path, data


# --8<-- [end:export]


# --8<-- [start:without]
def classify_without_the_library(path: Path, images: np.ndarray) -> np.ndarray:
    """Return the classes that the SavedModel itself gives: TensorFlow is all that it needs."""
    served = tf.saved_model.load(str(path))
    return served.signatures["classify"](images=tf.constant(images))["classes"].numpy()


# --8<-- [end:without]


# --8<-- [start:serve]
@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run `tfssvae serve` at a free port, give its address, and stop it afterwards."""
    command = [sys.executable, "-m", "tfssvae", "serve", str(folder)]
    command += ["--rest-port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield wait_for_address(process)
        finally:
            process.terminate()


# --8<-- [end:serve]


def wait_for_address(process: subprocess.Popen) -> str:
    """Return the address that the server prints once it listens."""
    for line in process.stdout or ():
        if found := re.search(r"REST at (\S+?),", line):
            return f"http://{found[1]}"
    raise RuntimeError("the server stopped before it listened: see its message above")


# --8<-- [start:ask]
def ask(address: str, name: str, data: tfssvae.data.Data) -> np.ndarray:
    """Ask a server for classes, likelihoods and new images; return the classes."""
    with Client(address, name, timeout=30) as client:
        client.wait_until_ready(60)
        print("signatures:", ", ".join(sorted(client.metadata())))
        answer = client.classify(data.x_test)
        first = answer["classes"][0], answer["probabilities"][0].max()
        print("the first image: class {}, probability {:.2f}".format(*first))
        score = client.call("score", images=data.x_test[:1])["log_likelihoods"]
        print(f"its log p(x): at least {score[0]:.1f} nats")
        print("three new images of the digit 3:", client.generate([3, 3, 3], seed=7).shape)
        try:
            client.call("nothing", images=data.x_test[:1])
        except tfssvae.InputError as error:
            print("what a wrong question gets:", error)
    return answer["classes"]


# --8<-- [end:ask]


def main(arguments: list[str] | None = None) -> None:
    """Train, export, ask the SavedModel, and ask a server."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("runs/deploying"))
    options = parser.parse_args(arguments)

    folder = options.out / "digits_m2"
    path, data = train_and_export(folder, options.epochs)
    print("exported:", ", ".join(sorted(file.name for file in path.iterdir())))

    alone = classify_without_the_library(path, data.x_test)
    print(f"accuracy of the SavedModel: {np.mean(alone == data.y_test):.1%}")

    with server(folder) as address:
        served = ask(address, folder.name, data)
    print(f"the server agrees with the SavedModel on {np.mean(served == alone):.0%} of them")


if __name__ == "__main__":
    main()
