"""Mixpanel's hosts as official clients know them, answered by a sandbox.

A CONNECT proxy ends the TLS of every host and passes each request on. So the clients run with
nothing but what they read from the environment: `HTTPS_PROXY` and whom to trust.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any

from world import write_certificate

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_HOST = re.compile(rb"^Host:[^\r\n]*", re.IGNORECASE | re.MULTILINE)
_CONNECTION = re.compile(rb"^Connection:[^\r\n]*\r\n", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"^Content-Length:\s*(\d+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Hosts:
    variables: dict[str, str]
    """What a client's environment needs."""
    asked: list[str]
    """The hosts that were called, in order."""


@contextmanager
def hosts_of(sandbox_port: int, folder: Path) -> Generator[Hosts]:
    certificate = write_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    asked: list[str] = []

    class Tunnel(StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline().split()[1].decode().partition(":")[0])
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            # A client that trusts nobody, or leaves, is no concern of the proxy.
            with suppress(OSError), context.wrap_socket(self.connection, server_side=True) as peer:
                _pass_on(peer, sandbox_port)
                peer.unwrap()

    with _Proxy(("127.0.0.1", 0), Tunnel) as proxy:
        serving = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        serving.start()
        url = f"http://127.0.0.1:{proxy.server_address[1]}"
        trusted = str(certificate)
        yield Hosts(
            {"HTTPS_PROXY": url, "SSL_CERT_FILE": trusted, "REQUESTS_CA_BUNDLE": trusted}, asked
        )
        proxy.shutdown()
        serving.join(5)


class _Proxy(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that broke."""


def _pass_on(peer: ssl.SSLSocket, port: int) -> None:
    """One request and its answer; the sandbox speaks only to loopback, so that is its host."""
    request = b""
    while b"\r\n\r\n" not in request:
        piece = peer.recv(65_536)
        if not piece:
            return
        request += piece
    head, _, body = request.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    while length and len(body) < int(length[1]):
        body += peer.recv(65_536)
    head = _CONNECTION.sub(b"", head + b"\r\n")
    head = _HOST.sub(b"Host: 127.0.0.1:%d\r\nConnection: close" % port, head)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sandbox:
        sandbox.sendall(head + b"\r\n" + body)
        while piece := sandbox.recv(65_536):
            peer.sendall(piece)
