"""Lists and configurations that people write: prices, items, agents' TOML, kessai.toml."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.config import AgentConfig, load_config, sample_config
from edge_agents.entrance.config import EntranceConfig
from edge_agents.gate.config import GateConfig
from edge_agents.register.config import SAMPLE_PRICES, RegisterConfig
from edge_agents.register.price_list import load_price_list
from edge_agents.ticket_machine.config import TicketMachineConfig
from edge_agents.vending.config import VendingConfig
from edge_agents.vending.items import load_items
from kessai.complaint import Complaint
from server.config import CONFIG_FILE, ServerConfig, write_sample
from server.config import load_config as load_server_config
from tests.fuzz.mangling import bytes_like, examples, read_or_complain

PRICES = SAMPLE_PRICES.read_bytes()
ITEMS = b'number,description\n7,Sparkling water\n12,"Nuts, salted"\n'
AGENTS: dict[str, type[AgentConfig]] = {
    "register": RegisterConfig,
    "ticket-machine": TicketMachineConfig,
    "vending": VendingConfig,
    "gate": GateConfig,
    "entrance": EntranceConfig,
}


def agent_reader(name: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        return load_config(AGENTS[name], path, {"events": "concert"} if name == "entrance" else {})

    return read


# What is read -> a good one, its file's name, and the reader.
LISTS: dict[str, tuple[bytes, str, Callable[[Path], object]]] = {
    "prices": (PRICES, "prices.csv", load_price_list),
    "items": (ITEMS, "items.csv", load_items),
    "switch": (
        write_sample(ServerConfig()).encode(),
        CONFIG_FILE,
        lambda path: load_server_config(path.parent),
    ),
    **{
        name: (sample_config(model, name).encode(), "agent.toml", agent_reader(name))
        for name, model in AGENTS.items()
    },
}


@pytest.mark.parametrize("name", LISTS)
@examples(2)
@given(data=st.data())
def test_what_people_write(tmp_path: Path, name: str, data: st.DataObject) -> None:
    """It is read, or one line says what is wrong; the good one is read afterwards."""
    good, file_name, read = LISTS[name]
    path = tmp_path / file_name
    path.write_bytes(data.draw(bytes_like(good)))
    read_or_complain(lambda: read(path))
    path.write_bytes(good)
    read(path)


@pytest.mark.parametrize("name", LISTS)
def test_what_nests_without_end(tmp_path: Path, name: str) -> None:
    """A parser that calls itself for each bracket would end the program."""
    _, file_name, read = LISTS[name]
    (tmp_path / file_name).write_bytes(b"a = " + b"[" * 100_000)
    with pytest.raises(Complaint):
        read(tmp_path / file_name)


@examples(2)
@given(data=st.data())
def test_an_item_list_that_is_read_lost_no_line(tmp_path: Path, data: st.DataObject) -> None:
    """Each line is an item, or blank: none disappears into another's text."""
    raw = data.draw(bytes_like(ITEMS))
    path = tmp_path / "items.csv"
    path.write_bytes(raw)
    items = read_or_complain(lambda: load_items(path))
    if items is None:
        return
    text = raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    assert len(items) == sum(1 for line in text.split("\n")[1:] if line)
