"""What goes wrong on the way to a server and there."""

from __future__ import annotations

# TensorFlow Serving answers REST with the HTTP status that stands for its own code.
CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ServingError(RuntimeError):
    """A server refused a request, failed, or did not answer in time.

    Attributes:
        code: the name of a gRPC status, for REST too: "UNAVAILABLE", "DEADLINE_EXCEEDED",
            "NOT_FOUND", "INVALID_ARGUMENT" ...
        message: the server's own words, or what happened to the connection.
    """

    def __init__(self, code: str, message: str):
        super().__init__(code, message)  # both, so that the error can be pickled
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def code_of_status(status: int) -> str:
    """Name the gRPC status that an HTTP status stands for.

    >>> code_of_status(503), code_of_status(418), code_of_status(502)
    ('UNAVAILABLE', 'INVALID_ARGUMENT', 'UNKNOWN')
    """
    return CODES.get(status, "INVALID_ARGUMENT" if 400 <= status < 500 else "UNKNOWN")
