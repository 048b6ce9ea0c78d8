"""The commands: each has an example and stands on its page, and one thing has one name."""

from __future__ import annotations

import re

from tests.commands_page import PAGE, Command, commands, page
from tests.house.tree import report

# What another command calls otherwise.
SYNONYMS = {
    "--size": "--limit", "--count": "--limit", "--max": "--limit", "--format": "--json",
    "--id": "--request-id", "--force": "--yes", "--output": "--json",
}  # fmt: skip
# What a command that changes something through the switch calls; `account merge` needs no id.
CHANGES = re.compile(r"\bchange\(|\b_enter\(|\b_add_by_call\(")
WITHOUT_ID = {"kessai account merge"}
LISTS = re.compile(r" (list|statement|proposals|payments|bills|history|purchases|balance|tickets)$")


def violations(every: list[Command]) -> list[str]:
    """List what a command lacks, or calls otherwise than the others do."""
    found = []
    for command in every:
        if not command.example.startswith(command.words) and "completion" not in command.words:
            found.append(f"{command.words}: say below its text: Example: {command.words} ...")
        for name in sorted(SYNONYMS.keys() & command.options):
            found.append(f"{command.words}: {name} is called {SYNONYMS[name]}")
        changes = CHANGES.search(command.source) and command.words not in WITHOUT_ID
        if changes and "--request-id" not in command.options:
            found.append(f"{command.words}: it changes something, so it takes --request-id")
        if LISTS.search(command.words) and "--json" not in command.options:
            found.append(f"{command.words}: it lists something, so it takes --json")
        for option in sorted(set(re.findall(r"(?<!\S)--[a-z-]+", command.example))):
            if option not in command.options:
                found.append(f"{command.words}: its example has {option}, which there is not")
    return found


def test_commands_are_alike() -> None:
    found = violations(list(commands()))
    assert not found, report(found)


def test_what_is_unlike_is_found() -> None:
    """Each rule fails on its own violation."""
    listing = Command("kessai thing list", "Example: kessai thing list --size", (), "call(x)")
    changing = Command("kessai thing make", "Make one.", (), "change(x)")
    assert len(violations([listing, changing])) == 4


def test_the_page_is_made_of_the_commands() -> None:
    """If not: python -m tests.commands_page."""
    assert PAGE.read_text(encoding="utf-8") == page()
