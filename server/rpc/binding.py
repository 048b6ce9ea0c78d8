"""A port of a gRPC server: taken, or one line that says what is in the way."""

from __future__ import annotations

import grpc
import grpc.aio

from kessai.complaint import Complaint


def bind(
    server: grpc.aio.Server, listen: str, credentials: grpc.ServerCredentials, public_host: str
) -> str:
    """Listen on host:port; where devices reach it comes back, as host:port. Complaint."""
    try:
        port = server.add_secure_port(listen, credentials)
    except RuntimeError:
        raise Complaint(
            f"{listen} cannot be listened on: another program may have it, or the address is "
            "not this machine's. No money was moved. Change kessai.toml or stop the other one."
        ) from None
    return f"{public_host}:{port}"
