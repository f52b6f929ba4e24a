"""Training speed on 1, 2 and 4 replicas, each a logical CPU with one thread.

    tfssvae bench scaling [--method m2] [--replicas 1 2 4] [--json out.json]

Every replica takes the same number of images (25 labelled + 50 unlabelled), so that a perfect step
takes as long on four replicas as on one: the efficiency is the ratio of the two. TensorFlow runs
each operation on one thread, and as many operations at once as there are replicas. Each number of
replicas has a process of its own, in turn, several rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

LABELLED, UNLABELLED, STEPS, CLASSES = 25, 50, 32, 10


def measure(method: str, replicas: int) -> dict[str, float]:
    """Return the seconds of a step, and the bytes of the gradients that replicas sum."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(replicas)
    device = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration()] * replicas
    tf.config.set_logical_device_configuration(device, logical)

    import keras
    import numpy as np
    from measuring import StepTimer

    import tfssvae
    from tfssvae.training import train

    labelled, unlabelled = LABELLED * replicas, UNLABELLED * replicas
    rows = labelled + unlabelled * STEPS
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (rows, 28, 28, 1), dtype=np.uint8)
    y = np.where(np.arange(rows) < labelled, np.arange(rows) % CLASSES, -1)
    data = tfssvae.data.from_arrays(x, y, num_classes=CLASSES)
    names = [f"CPU:{number}" for number in range(replicas)]
    strategy = (
        tf.distribute.MirroredStrategy(names) if replicas > 1 else tf.distribute.get_strategy()
    )
    with strategy.scope():
        model = tfssvae.METHODS[method](data.input_shape, CLASSES)
        model.compile(keras.optimizers.Adam(3e-4))
    timer = StepTimer()
    options = {"steps_per_call": 8, "jit_compile": False, "verbose": 0}
    train(model, data, 1, labelled, unlabelled, [timer], **options)
    gradients = sum(int(np.prod(v.shape)) for v in model.trainable_variables) * 4
    return {"seconds": statistics.median(timer.seconds), "gradient_bytes": float(gradients)}


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="m2")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.method, options.measure)))
        return
    found: dict[int, list[dict[str, float]]] = {count: [] for count in options.replicas}
    for _ in range(options.rounds):
        for count, rounds in found.items():
            command = [sys.executable, __file__, "--method", options.method]
            command += ["--measure", str(count)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rounds.append(json.loads(done.stdout.splitlines()[-1]))
    seconds = {count: min(each["seconds"] for each in rounds) for count, rounds in found.items()}
    first = min(seconds)
    report = {}
    for count, of_step in seconds.items():
        efficiency = seconds[first] / of_step
        report[count] = {"seconds": of_step, "efficiency": efficiency}
        print(
            f"{options.method}, {count} replicas: {of_step * 1e3:7.1f} ms a step, "
            f"{UNLABELLED * count / of_step:7.0f} images/s, efficiency {efficiency:.0%}"
        )
    print(f"gradients: {found[first][0]['gradient_bytes'] / 2**20:.1f} MiB a step")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
