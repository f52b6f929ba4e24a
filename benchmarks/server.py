"""Requests a second, latencies and memory of `tfssvae serve`, with and without batching.

    tfssvae bench server [--methods m2 shot_vae exon] [--seconds 5] [--requests 10000] [--json F]

The networks of each paper's MNIST experiments, untrained, which cost the same as trained. A server
in a process of its own; clients are threads of this one, each with a connection of its own, that
send one image to `classify` over REST and wait for the answer. Both share the machine: what the
clients take, the server does not have. Memory is the server's resident set before and after
--requests requests of the first model.
"""

import argparse
import http.client
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from serving import METHODS, build

CLIENTS = (1, 8, 64)


def export_models(methods: list[str], folder: Path) -> None:
    """Export an untrained model of each method."""
    import tfssvae

    for name in methods:
        tfssvae.serving.export(build(name), folder / name, input_dtypes="uint8")


class Server:
    """`tfssvae serve` in a process of its own, while the context is open."""

    def __init__(self, models: list[Path], batching: bool):
        self.command = [sys.executable, "-m", "tfssvae", "serve", *map(str, models)]
        self.command += ["--rest-port", "0", "--grpc-port", "0"] + ["--batching"] * batching

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            found = re.search(r"REST at [^,]*:(\d+)", line)
            if found:
                self.port = int(found[1])
                return self
        raise RuntimeError("the server did not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    @property
    def memory_mib(self) -> float:
        """The resident set of the server."""
        return psutil.Process(self.process.pid).memory_info().rss / 2**20


def send(server: Server, model: str, clients: int, seconds: float, requests: int | None = None):
    """Send requests for some seconds, or so many; return the milliseconds of each, and seconds."""
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1)).tolist()
    body = json.dumps({"signature_name": "classify", "inputs": {"images": image}})
    times: list[float] = []
    end = time.perf_counter() + seconds
    each = None if requests is None else requests // clients

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        mine: list[float] = []
        while len(mine) < each if each is not None else time.perf_counter() < end:
            began = time.perf_counter()
            connection.request("POST", f"/v1/models/{model}:predict", body)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise RuntimeError(content)
            mine.append(1000 * (time.perf_counter() - began))
        connection.close()
        times.extend(mine)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--requests", type=int, default=10_000, help="between two looks at memory")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    report: dict = {"rows": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_models(options.methods, folder)
        models = [folder / method for method in options.methods]
        print(
            f"{'':10} {'batching':>8} {'clients':>7} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8}"
        )
        for batching in (False, True):
            with Server(models, batching) as server:
                for method in options.methods:
                    send(server, method, 8, 2.0)  # warms up
                    for clients in CLIENTS:
                        times, seconds = send(server, method, clients, options.seconds)
                        p50, p99 = np.percentile(times, [50, 99])
                        row = {
                            "method": method,
                            "batching": batching,
                            "clients": clients,
                            "requests_per_s": len(times) / seconds,
                            "p50_ms": float(p50),
                            "p99_ms": float(p99),
                        }
                        report["rows"].append(row)
                        print(
                            f"{method:10} {'yes' if batching else 'no':>8} {clients:7} "
                            f"{row['requests_per_s']:10.0f} {p50:8.2f} {p99:8.2f}",
                            flush=True,
                        )
                before = server.memory_mib
                send(server, options.methods[0], 8, 0.0, options.requests)
                report[f"memory_mib_{'batching' if batching else 'single'}"] = [
                    before,
                    server.memory_mib,
                ]
                print(
                    f"memory {before:.0f} MiB, after {options.requests} more requests "
                    f"{server.memory_mib:.0f} MiB"
                )
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
