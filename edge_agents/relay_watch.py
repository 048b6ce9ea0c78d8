"""The line of a machine to its fleet's server: kept open, and told when it comes and goes.

One loop of an agent behind a relay, run beside its others in place of the line to the fleet's
operator: through a relay no deny list, settings or reports go.
"""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import grpc.aio

from edge_agents.events import Events
from edge_agents.relay_address import RelayAddress
from edge_agents.relay_channel import RelayChannel
from edge_agents.uplink import Uplink

LOOK_EVERY_S = 30.0
# A line that was closed meanwhile, for a renewed certificate, is another one after so long.
PAUSE_S = 0.5

_UP, _DOWN = grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE


class RelayWatch:
    """Watches one machine's line."""

    def __init__(self, uplink: Uplink, relay: RelayAddress, events: Events) -> None:
        self._uplink, self._relay, self._events = uplink, relay, events

    async def run(self) -> None:
        """Tell whenever the line comes or goes, for ever."""
        told: grpc.ChannelConnectivity | None = None
        while True:
            channel = self._uplink.channel
            try:
                state = channel.get_state(try_to_connect=True)
                if state in (_UP, _DOWN) and state is not told:
                    told = state
                    await self._tell(state, channel)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await channel.wait_for_state_change(state)
            except (grpc.aio.UsageError, grpc.aio.InternalError):
                await asyncio.sleep(PAUSE_S)

    async def _tell(self, state: grpc.ChannelConnectivity, channel: grpc.aio.Channel) -> None:
        if state is _UP:
            self._events.emit("in_touch")
            return
        server = f"the server of fleet {self._relay.fleet_id} at {self._relay.address}"
        trouble = await channel.ask_why() if isinstance(channel, RelayChannel) else ""
        why = f"no line to {server}. {trouble}" if trouble else f"{server} does not answer"
        self._events.emit("out_of_touch", why=why)
