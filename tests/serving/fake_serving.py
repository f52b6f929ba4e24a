"""A stand-in for TensorFlow Serving: a SavedModel behind REST and gRPC, which fails on demand."""

import functools
import json
import re
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

HTTP = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "FAILED_PRECONDITION": 412,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(/metadata|:predict)?")


class Refusal(Exception):
    def __init__(self, code, message):
        super().__init__(code, message)
        self.code, self.message = code, message


@functools.cache
def loaded(path):
    return tf.saved_model.load(str(path))


class Backend:
    """The model. `script` holds what goes wrong next: a code, "reset", or nothing."""

    def __init__(self, path):
        self.load(path)
        self.script = []
        self.stalled = threading.Event()
        self.stalled.set()
        self.requests = []
        self.state = "AVAILABLE"
        self.headers = {}  # of the last request
        self.models = None  # those that are known; None is any

    def load(self, path):
        self._model = loaded(path)  # its variables live as long as it does
        self.signatures = self._model.signatures
        content = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        self.definitions = content.meta_graphs[0].signature_def

    def predict(self, spec, name, read):
        """Answer a request, whose inputs `read` gives once their types are known."""
        self.stalled.wait(10)
        problem = self.script.pop(0) if self.script else None
        if name not in self.signatures:
            raise Refusal("INVALID_ARGUMENT", f"Serving signature {name} not found")
        types = self.signatures[name].structured_input_signature[1]
        inputs = {key: read(key, types[key].dtype.as_numpy_dtype) for key in types}
        self.requests.append((spec, name, inputs))
        if problem:
            raise Refusal(problem, f"no luck: \"{problem}\" as 'planned'")
        try:
            outputs = self.signatures[name](**{k: tf.constant(v) for k, v in inputs.items()})
        except tf.errors.InvalidArgumentError as error:
            raise Refusal("INVALID_ARGUMENT", error.message) from error
        return {key: value.numpy() for key, value in outputs.items()}

    def describe(self, spec):
        if self.state != "AVAILABLE":
            raise Refusal("NOT_FOUND", f"Servable not found for request: Latest({spec[0]})")
        answer = get_model_metadata_pb2.SignatureDefMap()
        for key, value in self.definitions.items():
            answer.signature_def[key].CopyFrom(value)
        return answer

    def status(self, spec):
        if self.models is not None and spec[0] not in self.models:
            raise Refusal("NOT_FOUND", f"Could not find any versions of model {spec[0]}")
        answer = get_model_status_pb2.GetModelStatusResponse()
        for version in (2, 1):
            entry = answer.model_version_status.add(version=version, state=self.state)
            entry.status.error_message = "" if self.state == "AVAILABLE" else "no such op"
        if spec[1] is not None:
            del answer.model_version_status[spec[1] - 1]  # the other one
        return answer


class RestServer:
    def __init__(self, backend, port=0):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                self.answer(b"")

            def do_POST(self):
                self.answer(self.rfile.read(int(self.headers["Content-Length"])))

            def answer(self, body):
                backend.headers = {key.lower(): value for key, value in self.headers.items()}
                model, version, label, task = PATH.fullmatch(self.path).groups()
                spec = (model, None if version is None else int(version), label)
                try:
                    status, answer = 200, self.find(spec, task, body)
                except Refusal as refusal:
                    if refusal.code == "reset":
                        self.close_connection = True
                        return
                    status, answer = HTTP[refusal.code], {"error": refusal.message}
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def find(self, spec, task, body):
                options = {
                    "preserving_proto_field_name": True,
                    "always_print_fields_with_no_presence": True,
                }
                if task is None:
                    return json_format.MessageToDict(backend.status(spec), **options)
                if task == "/metadata":
                    described = json_format.MessageToDict(backend.describe(spec), **options)
                    return {"model_spec": {}, "metadata": {"signature_def": described}}
                request = json.loads(body)
                outputs = backend.predict(
                    spec,
                    request["signature_name"],
                    lambda key, dtype: np.array(request["inputs"][key], dtype),
                )
                columns = {key: value.tolist() for key, value in outputs.items()}
                return {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.address = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class GrpcServer:
    def __init__(self, backend, port=0):
        def answering(function):
            def answer(service, request, context):
                backend.headers = dict(context.invocation_metadata())
                try:
                    return function(request)
                except Refusal as refusal:
                    code = "UNAVAILABLE" if refusal.code == "reset" else refusal.code
                    context.abort(getattr(grpc.StatusCode, code), refusal.message)

            return answer

        def predict(request):
            outputs = backend.predict(
                spec_of(request),
                request.model_spec.signature_name,
                lambda key, dtype: tf.make_ndarray(request.inputs[key]),
            )
            response = predict_pb2.PredictResponse()
            for key, value in outputs.items():
                response.outputs[key].CopyFrom(listed(value))
            return response

        def describe(request):
            assert list(request.metadata_field) == ["signature_def"]
            response = get_model_metadata_pb2.GetModelMetadataResponse(
                model_spec=model_pb2.ModelSpec(name=request.model_spec.name)
            )
            response.metadata["signature_def"].Pack(backend.describe(spec_of(request)))
            return response

        class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
            Predict = answering(predict)
            GetModelMetadata = answering(describe)

        class Model(model_service_pb2_grpc.ModelServiceServicer):
            GetModelStatus = answering(lambda request: backend.status(spec_of(request)))

        self.server = grpc.server(
            futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)]
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            Prediction(), self.server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(Model(), self.server)
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.address = f"127.0.0.1:{self.port}"
        self.server.start()

    def close(self):
        self.server.stop(None).wait()


SERVERS = {"rest": RestServer, "grpc": GrpcServer}


def spec_of(request):
    spec = request.model_spec
    return (
        spec.name,
        spec.version.value if spec.HasField("version") else None,
        spec.version_label or None,
    )


def listed(array):
    """A tensor message with a list of values, as TensorFlow Serving writes it."""
    message = tf.make_tensor_proto(array[:0] if array.ndim else array, dtype=array.dtype)
    message.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
    field = {"float32": message.float_val, "int32": message.int_val}[array.dtype.name]
    field[:] = array.ravel().tolist()
    return message
