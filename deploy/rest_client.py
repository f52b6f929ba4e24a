"""Classify images over REST: python deploy/rest_client.py [ADDRESS [MODEL]].

The images are noise, so the classes mean nothing; give your own in their place.
"""

import sys

import numpy as np

from tfssvae.serving import Client, ServingError


def main(address: str = "http://localhost:8501", model: str = "mnist_m2") -> None:
    """Print the versions, the classes of five images, and what a refusal looks like."""
    with Client(address, model, timeout=10) as client:
        client.wait_until_ready(60)
        for version, state, message in client.status():
            print(f"version {version}: {state} {message}")

        shape = client.metadata()["classify"]["inputs"]["images"]["shape"]
        images = np.random.default_rng(0).integers(0, 256, (5, *shape[1:]), "uint8")
        answer = client.classify(images)
        for row, (k, p) in enumerate(zip(answer["classes"], answer["probabilities"], strict=True)):
            print(f"image {row}: class {k} with probability {p[k]:.3f}")

        try:
            client.call("classify_float", images=images + 0.5)
        except ServingError as error:
            print(f"refused by the model ({error.code})")


if __name__ == "__main__":
    main(*sys.argv[1:])
