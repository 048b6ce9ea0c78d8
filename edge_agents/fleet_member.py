"""An agent as a member of the fleet: what it knows and says, and what it may decide by itself.

Every agent's `main` opens one beside its journal, and runs it beside its loops. Puts together the
deny list, the settings from afar, the agent's state and the decision without the switch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_agents.agent_state import AgentState
from edge_agents.deny_list import DenyList
from edge_agents.events import Events
from edge_agents.fleet_line import FleetLine
from edge_agents.journal import Journal
from edge_agents.links.message_link import Radio
from edge_agents.log_watch import LogWatch
from edge_agents.offline_decision import OfflineDecision
from edge_agents.payment_request import Terminal
from edge_agents.remote_settings import RemoteSettings
from edge_agents.uplink import Uplink


class FleetMember:
    """What all agents have in common beside taking money."""

    def __init__(
        self,
        folder: Path,
        terminal: Terminal,
        radio: Radio,
        journal: Journal,
        uplink: Uplink,
        events: Events,
        now_us: Callable[[], int],
    ) -> None:
        """Open what is kept in the agent's folder; Complaint if it is damaged."""
        self.deny_list = DenyList(folder)
        settings = RemoteSettings(folder)
        self.state = AgentState(radio, journal, self.deny_list, settings, now_us)
        self.offline = OfflineDecision(terminal, self.deny_list, settings, journal, now_us)
        watch = LogWatch(uplink, journal.marks, events)
        self._line = FleetLine(uplink, self.state, self.deny_list, settings, events, now_us, watch)

    @property
    def is_in_touch(self) -> bool:
        """Tell whether the line to the switch is good now; if not, who waits for it waits long."""
        return self._line.is_in_touch

    async def run(self) -> None:
        """Be in touch whenever that is possible, for ever."""
        self.state.begin()
        await self._line.run()

    def close(self) -> None:
        """Close the files."""
        self.deny_list.close()
