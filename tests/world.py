"""All of Mixpanel's hosts on loopback: a CONNECT proxy that ends the TLS of each one itself.

Our client takes it from the environment as any proxy, and trusts the certificate that
`SSL_CERT_FILE` names, so what tests see is what Mixpanel's real hosts would have been asked.
"""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from upstream import Upstream

from mixpanel_mcp.api.regions import ORIGINS

HOSTS = sorted({url.removeprefix("https://") for of in ORIGINS.values() for url in of.values()})


@dataclass
class World:
    """One told upstream for each host, and the variables that lead a client here."""

    hosts: dict[str, Upstream]
    variables: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [
            (host, request.path)
            for host, upstream in self.hosts.items()
            for request in upstream.requests
        ]


def write_certificate(folder: Path) -> Path:
    """A certificate for every host, and its key, in one file that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A world on loopback")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(h) for h in HOSTS]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "world.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


@asynccontextmanager
async def running_world(certificate: Path) -> AsyncGenerator[World]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    world = World({host: Upstream() for host in HOSTS})

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        host = head.split()[1].removesuffix(":443")
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        try:
            await writer.start_tls(context)
        except (OSError, ConnectionError):
            writer.close()
            return
        await world.hosts[host].serve(reader, writer)

    server = await asyncio.start_server(tunnel, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    world.variables = {
        "HTTPS_PROXY": f"http://127.0.0.1:{port}",
        "SSL_CERT_FILE": str(certificate),
    }
    try:
        yield world
    finally:
        server.close()
