"""The switch's two ports: gRPC servers that are bound, and not started yet."""

from __future__ import annotations

from typing import NamedTuple

import grpc.aio

from kessai.channel import LINES_OPTION, PAIRING_OPTIONS, SERVER_OPTIONS
from server.config import ServerConfig
from server.rpc.binding import bind
from server.rpc.credentials import ServerCertificate
from server.rpc.lines import Lines, raise_descriptor_limit


class Ports(NamedTuple):
    """Both servers, and where devices reach them: host:port."""

    main: grpc.aio.Server
    pairing: grpc.aio.Server
    address: str
    pairing_address: str


def bind_ports(
    config: ServerConfig,
    shards: int,
    certificate: ServerCertificate,
    lines: Lines,
    main_port: grpc.aio.ServerInterceptor,
    pairing_port: grpc.aio.ServerInterceptor,
) -> Ports:
    """Bind both ports, and have their lines counted; Complaint if an address cannot be had.

    The interceptors are all that stands before a call; `shards` is how many shards there are.
    """
    most, host = raise_descriptor_limit(shards), config.public_host
    main = grpc.aio.server(
        interceptors=[main_port], options=[*SERVER_OPTIONS, (LINES_OPTION, most.main)]
    )
    pairing = grpc.aio.server(
        interceptors=[pairing_port], options=[*PAIRING_OPTIONS, (LINES_OPTION, most.pairing)]
    )
    address = bind(main, config.listen, certificate.main_port(), host)
    pairing_address = bind(pairing, config.pairing_listen, certificate.pairing_port(), host)
    lines.start(
        {
            _port(address): min(config.lines_per_address, most.main // 2),
            _port(pairing_address): min(config.pairing_lines_per_address, most.pairing // 2),
        }
    )
    return Ports(main, pairing, address, pairing_address)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
