"""Cost of serving models: size on disk, export, load in a fresh process, latency of a request.

    tfssvae bench serving                             # M2, SHOT-VAE and EXoN of MNIST, untrained
    tfssvae bench serving --models RUN/model.keras    # or one's own  [--json out.json]

Latencies are those of calling a signature in Python, one call after the other: a server adds the
network and its own queue.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np

METHODS = ("m2", "shot_vae", "exon")
WARM_UP = 20  # requests that are not counted: the first ones plan the graph


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", nargs="+", default=["m2", "shot_vae", "exon"], help="methods or .keras files"
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 64], help="images per request")
    parser.add_argument("--requests", type=int, default=500, help="requests that are timed")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args(arguments)
    missing = [name for name in options.models if name not in METHODS and not Path(name).is_file()]
    if missing:
        parser.error(f"there is no file {missing[0]}")
    if options.requests < 1 or min(options.rows) < 1:
        parser.error("--requests and --rows must be 1 or more")
    results = []
    for name in options.models:
        results.append(measure(name, options.rows, options.requests))
        print(table(results[-1]), end="\n\n", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2))


def build(method: str):
    """Return an untrained model with the networks of its paper's MNIST experiments."""
    import keras

    import tfssvae
    from tfssvae.recipes import exon

    arguments = {}
    if method == "exon":
        found = exon.settings("mnist", 0.25, steps_per_epoch=624, epochs=100)
        arguments = keras.saving.deserialize_keras_object(found)["model"]
    return tfssvae.METHODS[method]((28, 28, 1), 10, **arguments)


def measure(name: str, rows: list[int], requests: int) -> dict:
    """Export a model and measure it.

    Args:
        name: a method of METHODS, or a .keras file.
        rows: images (or labels) per request.
        requests: how many requests are timed for each signature and number of rows.

    Returns:
        What `table` prints: sizes in bytes, times in seconds, latencies in milliseconds.
    """
    import keras

    import tfssvae

    if name in METHODS:
        model = build(name)
    else:
        dict(tfssvae.METHODS)  # imports every method: Keras revives the classes that it knows
        model = keras.saving.load_model(name)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        path = tfssvae.serving.export(model, folder)
        export_seconds = time.perf_counter() - begin
        sizes = {
            str(file.relative_to(path)): file.stat().st_size
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }
        # Spawned, not forked: loading must not profit from what this process has imported.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            served = pool.apply(measure_served, (str(path), rows, requests))
    return {
        "model": f"{type(model).__name__} {model.example_shape}",
        "parameters": int(model.count_params()),
        "bytes": sum(sizes.values()),
        "bytes_per_file": sizes,
        "export_seconds": export_seconds,
        **served,
    }


def measure_served(path: str, rows: list[int], requests: int) -> dict:
    """Load an exported model in this process and time its signatures."""
    begin = time.perf_counter()
    import tensorflow as tf

    imported = time.perf_counter()
    model = tf.saved_model.load(path)
    loaded = time.perf_counter()
    latencies = {}
    for name in ("classify", "classify_float", "encode", "reconstruct", "generate"):
        for count in rows:
            inputs = make_inputs(model.signatures[name], count)
            latencies[f"{name}/{count}"] = latency(model.signatures[name], inputs, requests)
    return {
        "tensorflow": tf.__version__,
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "requests": requests,
        "import_seconds": imported - begin,
        "load_seconds": loaded - imported,
        "latency_ms": latencies,
    }


def make_inputs(function, rows: int) -> dict:
    """Return random images, or labels and a seed, as a signature takes them."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    specs = function.structured_input_signature[1]
    if "images" not in specs:
        return {"labels": tf.zeros([rows], tf.int32), "seed": tf.constant(0)}
    pixels = random.integers(0, 256, (rows, *specs["images"].shape[1:]), "uint8")
    if specs["images"].dtype == tf.float32:
        return {"images": tf.constant(pixels.astype("float32") / 255)}
    return {"images": tf.constant(pixels)}


def latency(function, inputs: dict, requests: int) -> dict:
    """Return milliseconds of the first request, and percentiles of the later ones."""
    times = []
    for _ in range(WARM_UP + requests):
        begin = time.perf_counter()
        outputs = function(**inputs)
        for value in outputs.values():
            value.numpy()  # waits for the device
        times.append(1000 * (time.perf_counter() - begin))
    p50, p99 = np.percentile(times[WARM_UP:], [50, 99])
    return {"first": times[0], "p50": float(p50), "p99": float(p99)}


def table(results: dict) -> str:
    """Return the results as text."""
    lines = [
        f"{results['model']}, {results['parameters']:,} parameters, "
        f"TensorFlow {results['tensorflow']}, {', '.join(results['devices'])}",
        f"size on disk     {results['bytes'] / 1e6:8.2f} MB",
        f"export           {results['export_seconds']:8.2f} s",
        f"import           {results['import_seconds']:8.2f} s (TensorFlow, in a fresh process)",
        f"load             {results['load_seconds']:8.2f} s",
        "",
        f"{'signature':16}{'rows':>6}{'first ms':>12}{'p50 ms':>12}{'p99 ms':>12}",
    ]
    for key, times in results["latency_ms"].items():
        name, rows = key.split("/")
        values = "".join(f"{times[column]:12.3f}" for column in ("first", "p50", "p99"))
        lines.append(f"{name:16}{rows:>6}{values}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
