"""A fleet's server in a scenario: `kessai agent relay` as a process, killed and started again."""

from __future__ import annotations

from pathlib import Path

from tests.pairing import pair_agent
from tests.scenarios.following import Followed
from tests.scenarios.shop import Shop

FLEET = "nordic"


class FleetServer:
    """The server of a fleet, for machines of some merchants."""

    def __init__(self, shop: Shop, *merchants: str, fleet: str = FLEET) -> None:
        self.fleet, self.folder = fleet, shop.folder / f"fleet-{fleet}"
        pair_agent(self.folder, shop.switch.pair_relay(fleet, *merchants))
        self.address = "127.0.0.1:0"
        self._running: Followed | None = None

    @property
    def log(self) -> Path:
        """What it wrote on stderr."""
        return self.folder / "relay.log"

    @property
    def relay(self) -> str:
        """What a machine behind it is configured with."""
        return f"{self.fleet}@{self.address}"

    @property
    def steps(self) -> Followed:
        """Its process, with what it tells."""
        assert self._running is not None
        return self._running

    def start(self) -> None:
        """Run it, for the first time or again at the same port."""
        command = ["agent", "relay", "--events", "--folder", str(self.folder)]
        self._running = Followed([*command, "--listen", self.address], self.log, "event")
        self.address = str(self.steps.next("started")["listen"])
        self.steps.next("serves", "in_touch", "out_of_touch")

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.steps.kill()

    def close(self) -> None:
        """Stop it as an operator would."""
        if self._running is not None and self._running.is_running:
            assert self._running.stop() == 0
