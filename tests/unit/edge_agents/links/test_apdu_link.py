"""The terminal's APDUs: what goes over the air, and what is no answer."""

from __future__ import annotations

import pytest

from edge_agents.links.apdu_link import CHUNK_BYTES, exchange_message, select_application
from edge_agents.links.message_link import MAX_MESSAGE_BYTES, LinkLost

OK = b"\x90\x00"


class Script:
    """Answers APDUs from a list, the last one again and again, and keeps what was sent."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.sent: list[bytes] = []

    def __call__(self, apdu: bytes) -> bytes:
        """Give the next answer."""
        self.sent.append(apdu)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def test_the_application_is_selected_by_its_identifier() -> None:
    """In the form that Android routes by; another card says that it has none such."""
    script = Script(OK)
    assert select_application(script)
    assert script.sent == [bytes.fromhex("00a4040008f04b45535341490100")]
    assert not select_application(Script(b"\x6a\x82"))
    assert not select_application(Script(b""))


def test_only_short_apdus_are_sent() -> None:
    """Chained in chunks, the last one asking for an answer of up to 256 bytes."""
    script = Script(OK)
    message = bytes(range(256)) * 2
    assert exchange_message(script, message) == b""
    assert max(len(apdu) for apdu in script.sent) <= 5 + CHUNK_BYTES + 1
    assert [apdu[:4].hex() for apdu in script.sent] == ["10c30000", "10c30000", "00c30000"]
    assert b"".join(apdu[5 : 5 + apdu[4]] for apdu in script.sent) == message
    assert script.sent[-1][-1:] == b"\x00"


def test_the_rest_of_an_answer_is_fetched() -> None:
    """As much as the phone announced each time."""
    script = Script(b"one \x61\x04", b"two \x61\x05", b"three" + OK)
    assert exchange_message(script, b"?") == b"one two three"
    assert [apdu.hex() for apdu in script.sent[1:]] == ["00c0000004", "00c0000005"]


@pytest.mark.parametrize("broken", [b"", b"\x90", b"\x69\x85", b"no\x90\x00", b"\x61\x04"])
def test_a_message_that_is_broken_off(broken: bytes) -> None:
    """A chunk is answered with 9000 and nothing else."""
    with pytest.raises(LinkLost, match="broke off"):
        exchange_message(Script(broken, OK), bytes(300))


@pytest.mark.parametrize("answer", [b"", b"\x90", b"\x6d\x00", b"data\x67\x00"])
def test_no_answer(answer: bytes) -> None:
    """Any status but 9000 and 61xx."""
    with pytest.raises(LinkLost, match="did not answer"):
        exchange_message(Script(answer), b"?")
    with pytest.raises(LinkLost, match="did not answer"):
        exchange_message(Script(b"first\x61\x05", answer), b"?")


def test_an_answer_without_end() -> None:
    """A phone cannot fill the terminal's memory."""
    script = Script(bytes(250) + b"\x61\xfa")
    with pytest.raises(LinkLost, match="longer than 64 KiB"):
        exchange_message(script, b"?")
    assert len(script.sent) <= MAX_MESSAGE_BYTES // 250 + 1


def test_a_message_that_is_too_long() -> None:
    """Is the caller's mistake, and nothing is sent."""
    script = Script(OK)
    with pytest.raises(ValueError, match="64 KiB"):
        exchange_message(script, bytes(MAX_MESSAGE_BYTES + 1))
    assert script.sent == []
