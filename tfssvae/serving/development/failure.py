"""Why a request cannot be answered, in the terms of both protocols."""

import re

import tensorflow as tf

# TensorFlow Serving's table from canonical status codes to those of HTTP.
_HTTP_STATUS = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}
_CANONICAL = {
    1: "CANCELLED",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}


class Failure(Exception):
    """A request that is refused.

    Args:
        code: a canonical status code such as "NOT_FOUND", as gRPC calls it.
        message: what the client is told.

    >>> Failure("NOT_FOUND", "no such model").http_status
    404
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        """The HTTP status that TensorFlow Serving gives for the code."""
        return _HTTP_STATUS.get(self.code, 500)


def invalid(message: str) -> Failure:
    """Return the refusal of a request that is not as it should be.

    >>> invalid("no inputs").code
    'INVALID_ARGUMENT'
    """
    return Failure("INVALID_ARGUMENT", message)


def from_tensorflow(error: tf.errors.OpError) -> Failure:
    """Return what a client is told of an error inside a model: the message of the operation.

    >>> from_tensorflow(tf.errors.InvalidArgumentError(None, None, "labels must be in 0..9")).code
    'INVALID_ARGUMENT'
    """
    # Python puts a heading and the name of its wrapper around what TensorFlow Serving gives.
    message = error.message.rpartition("<stack traces unavailable>\n")[2]
    message = re.sub(r" \[Op:\w+\]$", "", message)
    message = message.partition("\n\t [[{{node ")[0]  # where in the graph: no use to a client
    return Failure(_CANONICAL.get(error.error_code, "INTERNAL"), message)
