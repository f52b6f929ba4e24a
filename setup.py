"""Packaging of tfssvae; build, lint and test settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "tfssvae/__init__.py").read_text())[1]
SERVING = [
    "tensorflow-serving-api>=2.21,<3",  # older ones need a protobuf that TensorFlow 2.21 has not
    "protobuf>=6.31,<8",
    "grpcio>=1.70,<2",
    "urllib3>=2.3,<3",
    "starlette>=0.46,<2",
    "uvicorn>=0.34,<1",
    "h11>=0.14,<1",
]

# Together with one another and with NumPy 2; each is needed for TFLite or ONNX files only.
CONVERT = [
    "ai-edge-litert>=2.1,<3",
    "tf2onnx>=1.17,<2",
    "onnx>=1.18,<2",
    "onnxruntime>=1.22,<2",
]

DOCS = [
    "mkdocs>=1.6,<2",
    "mkdocs-material>=9.6,<10",
    "mkdocstrings[python]>=1,<2",
    "pymdown-extensions<12; python_version < '3.11'",  # mkdocstrings for 3.10 breaks with newer
    "latex2mathml>=3.78,<4",  # equations without a script or a font from the network
]

SWEEP = ["optuna>=5,<6"]  # before 5 its sampler drew arguments one by one unless asked

setup(
    name="tfssvae",
    version=VERSION,
    description="Semi-supervised variational autoencoders on TensorFlow, Keras 3 and TFP",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["tfssvae", "tfssvae.*"]),
    # Makes `pip install -e .` put this folder on the path. Without it a script beside a checkout
    # that is called tfssvae would import the checkout's folder as an empty package.
    package_dir={"": "."},
    package_data={"tfssvae": ["py.typed", "serving/development/page/*"]},
    python_requires=">=3.10,<3.14",
    install_requires=[
        # Keras, TFP and their shim are tested together with one minor version of TensorFlow.
        "tensorflow>=2.21,<2.22",
        "keras>=3.12,<4",
        "tensorflow-probability[tf]>=0.25,<0.26",
        "tensorboard>=2.20,<3",
        "tensorflow-datasets>=4.9.9,<5",
        "importlib_resources>=6",  # tensorflow-datasets imports it without declaring it
        "numpy>=1.26,<3",
        "scikit-learn>=1.6,<2",
        "threadpoolctl>=3",
        "scipy>=1.11,<2",
        "matplotlib>=3.8,<4",
        "pillow>=10.1",
        "psutil>=5.9",
        "h5py>=3.10,<4",
        "setuptools>=68",  # tensorflow-probability imports distutils, gone from Python 3.12 on
    ],
    extras_require={
        "convert": CONVERT,
        "test": [
            "pytest>=8,<9",  # under 9 pytest-xdist 3.8 ignores the groups of tests
            "pytest-xdist>=3.6,<4",
            "ruff>=0.9",
            "mypy>=1.14",
            "scikit-image>=0.25",
            "selenium>=4.20,<5",  # of the page, where Chromium and its driver are installed
            "pyyaml>=6,<7",
            "hypothesis>=6.130,<7",
            "pandas>=2.2",
            "polars>=1",
            *SERVING,
            *CONVERT,
            *DOCS,
            *SWEEP,
        ],
        "docs": DOCS,
        "sweep": SWEEP,
        "serving": SERVING,
        "bench": ["torch>=2.4"],  # to compare with; a build for the CPU does
        "fuzz": ["atheris>=3,<4"],  # wheels are for Linux
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
    },
    entry_points={"console_scripts": ["tfssvae=tfssvae.cli:main"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
