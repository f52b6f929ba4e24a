#!/usr/bin/env bash
# Succeeds when a version of every named model is served: healthcheck.sh [-h HOST] PORT MODEL...
# PORT is the REST port. Plain bash: the image of TensorFlow Serving has no curl.
set -u

host=localhost
if [ "${1-}" = -h ]; then
  host=$2
  shift 2
fi
if [ $# -lt 2 ]; then
  echo "usage: healthcheck.sh [-h HOST] PORT MODEL..." >&2
  exit 2
fi
port=$1
shift

for model; do
  if ! { exec 3<>"/dev/tcp/$host/$port"; } 2>/dev/null; then
    echo "nobody answers on $host:$port" >&2
    exit 1
  fi
  printf 'GET /v1/models/%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$model" "$host" >&3
  answer=$(timeout 4 cat <&3)
  exec 3>&-
  if ! grep -q '"state": *"AVAILABLE"' <<<"$answer"; then
    echo "$model is not available: $answer" >&2
    exit 1
  fi
done
