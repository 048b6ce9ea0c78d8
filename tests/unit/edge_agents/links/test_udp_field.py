"""The reader's end of the UDP field."""

import socket

from edge_agents.links.radio import open_radio


async def test_a_port_that_has_a_name_is_a_port_like_any_other() -> None:
    """nfcpy reads the name of the service instead of the number, and fails on it."""
    assert socket.getservbyport(80) == "http"
    radio = open_radio("udp:127.0.0.1:80")
    await radio.close()
