"""Draw, encode and reconstruct over gRPC: python deploy/grpc_client.py [ADDRESS [MODEL]].

`label="stable"` asks for the version that has this label in models.config.
"""

import sys

import numpy as np

from tfssvae.serving import Client


def main(address: str = "localhost:8500", model: str = "mnist_m2") -> None:
    """Send a thousand images and print how well they are reconstructed."""
    with Client(address, model, label="stable", timeout=60, batch_size=256) as client:
        client.wait_until_ready(60)
        images = client.generate(labels=np.arange(1000) % 10, seed=0)
        codes = client.encode(images)  # floats in 0..1: in four requests
        error = np.abs(client.reconstruct(images) - images).mean()
        print(f"{len(codes)} images as codes of size {codes.shape[1]}")
        print(f"mean error of their reconstructions: {error:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
