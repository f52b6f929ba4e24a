"""A local development server that speaks TensorFlow Serving's REST and gRPC."""
