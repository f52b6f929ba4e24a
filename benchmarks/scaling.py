"""Training speed on 1, 2 and 4 replicas, each a logical CPU with one thread and one core.

    tfssvae bench scaling [--method m2] [--replicas 1 2 4] [--json out.json]

Every replica takes the same number of images (25 labelled + 50 unlabelled), so that a perfect step
takes as long on four replicas as on one: the efficiency is the ratio of the two. TensorFlow runs
each operation on one thread, and as many operations at once as there are replicas. Each number of
replicas has a process of its own, in turn, several rounds. That process is pinned to as many cores
as it has replicas, the first of those that the command may use (Linux only).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Any

from tfssvae import METHODS

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

LABELLED, UNLABELLED, STEPS, CLASSES = 25, 50, 32, 10


def measure(method: str, replicas: int) -> dict[str, Any]:
    """Return seconds of a step, bytes of the gradients that replicas sum, and the cores used."""
    # Before TensorFlow: its threads are then pinned too, for they inherit the cores.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:replicas])
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
    return {
        "seconds": statistics.median(timer.seconds),
        "gradient_bytes": float(gradients),
        "cores": sorted(os.sched_getaffinity(0)),
    }


def replicas_to_measure(asked: list[int] | None, cores: int) -> list[int]:
    """Return the numbers of replicas, each of which needs a core of its own.

    Raises:
        ValueError: there are more replicas than cores, or none.
    """
    if asked is None:
        return [count for count in (1, 2, 4) if count <= cores]
    wrong = [count for count in asked if not 1 <= count <= cores]
    if wrong:
        raise ValueError(f"--replicas must be from 1 to {cores}, a core for each, got {wrong[0]}")
    return list(dict.fromkeys(asked))


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="m2")
    parser.add_argument("--replicas", type=int, nargs="+", help="1, 2 and 4 where cores are")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    if options.rounds < 1 or options.method not in METHODS:
        parser.error(f"--rounds must be 1 or more, --method one of {', '.join(METHODS)}")
    if not hasattr(os, "sched_setaffinity"):
        parser.error(f"{sys.platform} cannot pin a process to cores: measure on Linux")
    if options.measure:
        print(json.dumps(measure(options.method, options.measure)))
        return
    try:
        replicas = replicas_to_measure(options.replicas, len(os.sched_getaffinity(0)))
    except ValueError as error:
        parser.error(str(error))
    found: dict[int, list[dict[str, Any]]] = {count: [] for count in replicas}
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
        cores = found[count][0]["cores"]
        report[count] = {"seconds": of_step, "efficiency": efficiency, "cores": cores}
        print(
            f"{options.method}, {count} replicas: {of_step * 1e3:7.1f} ms a step, "
            f"{UNLABELLED * count / of_step:7.0f} images/s, efficiency {efficiency:4.0%}, "
            f"pinned to core{'s' * (count > 1)} {', '.join(map(str, cores))}"
        )
    print(f"gradients: {found[first][0]['gradient_bytes'] / 2**20:.1f} MiB a step")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
