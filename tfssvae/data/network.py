"""A quick answer to "is there a network?", so that a missing one costs seconds, not minutes."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def is_reachable(host: str, timeout: float = 3.0) -> bool:
    """Whether a TCP connection to the host's port 443 (or to the proxy, if one is set) opens.

    Args:
        host: name of the host.
        timeout: seconds after which the answer is no.
    """
    address = _proxy_for(host) or (host, 443)
    opened = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError):
            socket.create_connection(address, timeout=timeout).close()
            opened.set()

    # In a thread because looking up a name has a timeout of its own, which may be minutes.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(timeout)
    return opened.is_set()


def _proxy_for(host: str) -> tuple[str, int] | None:
    proxies = getproxies()
    url = proxies.get("https") or proxies.get("all")
    if not url or proxy_bypass(host):
        return None
    parts = urlsplit(url if "//" in url else f"//{url}")
    return (parts.hostname, parts.port or 8080) if parts.hostname else None
