"""Many TLS handshakes with one switch at once, as a process: `python -m ... FOLDER`.

Run by `test_credentials.py`; prints how many were made.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.unit.server.ports import serving

HANDSHAKES = 1_000
_THREADS = 16
_LIMIT_S = 60.0


def shake_hands(port: int) -> bool:
    """Open a line and close it again."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", port), _LIMIT_S) as line:
        context.wrap_socket(line).close()
    return True


async def main(folder: Path) -> int:
    """Serve, and shake hands; how often that went well."""
    async with serving(folder) as switch:
        port = int(switch.pairing_address.rpartition(":")[2])
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(_THREADS) as threads:
            calls = [loop.run_in_executor(threads, shake_hands, port) for _ in range(HANDSHAKES)]
            return sum(await asyncio.gather(*calls))


if __name__ == "__main__":
    print(asyncio.run(main(Path(sys.argv[1]))))  # noqa: T201
