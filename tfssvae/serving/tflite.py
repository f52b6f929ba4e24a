"""A signature of a SavedModel as a TFLite file, and such a file as a function."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

VARIANTS = ("float32", "float16", "dynamic")
"""How weights are kept: as they are, in half the bits, or as 8-bit integers with a scale."""


def to_tflite(prepared: Path, signature: str, variant: str) -> bytes:
    """Return a TFLite file of one signature, with any number of examples in a request.

    Args:
        prepared: a SavedModel, from `prepare`.
        signature: its name; the file has one signature, of this name.
        variant: one of `VARIANTS`.

    Raises:
        ConverterError: TFLite has no operation for a part of it.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(prepared), signature_keys=[signature])
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def load_tflite(path: Path, signature: str) -> Callable[..., dict]:
    """Return the function {input name: array} -> {output name: array} of a TFLite file."""
    from ai_edge_litert.interpreter import Interpreter

    # The runner keeps the interpreter alive, and takes batches of any size one after the other.
    return Interpreter(model_path=str(path)).get_signature_runner(signature)


@contextlib.contextmanager
def prepare(version: Path) -> Iterator[Path]:
    """Lend a copy of a SavedModel that TFLite converts with any number of examples.

    Sums of several tensors (AddN) become chains of sums of two: TFLite's own AddN refuses tensors
    whose shapes are not known before the model runs.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "model")
        shutil.copytree(version, copy)
        file = copy / "saved_model.pb"
        model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        for meta_graph in model.meta_graphs:
            _unfold_sums(meta_graph.graph_def.node, "")
            for function in meta_graph.graph_def.library.function:
                renamed = _unfold_sums(function.node_def, ":z:0")
                for node in function.node_def:
                    node.input[:] = [renamed.get(name, name) for name in node.input]
                for key, name in function.ret.items():
                    function.ret[key] = renamed.get(name, name)
        file.write_bytes(model.SerializeToString())
        yield copy


def _unfold_sums(nodes, output: str) -> dict[str, str]:
    """Replace AddN nodes; return {old name of an output: new name} inside a function.

    `output` is how an operation's result is named: inside functions by its output argument too.
    """
    renamed = {}
    for node in [node for node in nodes if node.op == "AddN"]:
        terms = [name for name in node.input if not name.startswith("^")]
        order = [name for name in node.input if name.startswith("^")]
        if len(terms) == 1:
            continue
        total = terms[0]
        for index, term in enumerate(terms[1:-1]):
            partial = nodes.add(name=f"{node.name}/sum_{index}", op="AddV2", input=[total, term])
            partial.attr["T"].CopyFrom(node.attr["T"])
            total = partial.name + output
        node.op = "AddV2"
        node.input[:] = [total, terms[-1], *order]
        del node.attr["N"]
        renamed[f"{node.name}:sum:0"] = f"{node.name}:z:0"
    return renamed
