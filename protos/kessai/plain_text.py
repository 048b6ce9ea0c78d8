"""Plain text: what a name, a description or any other words of somebody else may consist of.

Printable characters and spaces, in Unicode's form NFC, up to a length. So no control characters (an
escape sequence moves a terminal's cursor, an ESC/POS command works a printer), no line breaks (a
second line looks like another record), nothing that turns the direction of writing, and nothing
invisible. `check_text` holds a document to that when it comes in; `plain` makes the best of what
must be taken or shown as it is.
"""

from __future__ import annotations

import unicodedata

# Stands where a character was that nobody may be shown.
MARK = "\N{REPLACEMENT CHARACTER}"
_CUT = "\N{HORIZONTAL ELLIPSIS}"


class TextError(ValueError):
    """The text is not plain; the message says in words what is wrong with it."""


def check_text(text: str, longest: int, least: int = 1) -> None:
    """TextError unless a text is plain and has `least` to `longest` characters.

    It neither begins nor ends with a blank: names that look alike are the same.
    """
    if not least <= len(text) <= longest:
        raise TextError(f"has {len(text)} characters, not {least} to {longest}")
    if text != text.strip():
        raise TextError("begins or ends with a blank")
    if not text.isprintable():
        raise TextError("has characters that cannot be printed")
    if not unicodedata.is_normalized("NFC", text):
        raise TextError("is not in Unicode's normal form NFC")


def is_plain(text: str, longest: int) -> bool:
    """Whether a text is plain and has 1 to `longest` characters: `check_text` without a reason."""
    try:
        check_text(text, longest)
    except TextError:
        return False
    return True


def clean(text: str, longest: int, otherwise: str) -> str:
    """The text as a document may carry it: shown by `plain`, without blanks at its ends.

    `otherwise` if nothing is left of it.
    """
    return plain(text.strip(), longest).strip() or otherwise


def plain(text: str, longest: int | None = None) -> str:
    """The text as it may be shown: each space of any kind as a blank, MARK for what has no glyph.

    It is one line. What is longer than `longest` characters is cut, and ends with an ellipsis.
    """
    if not (text.isascii() and text.isprintable()):
        normal = unicodedata.normalize("NFC", text)
        text = "".join(map(_shown, normal))
    if longest is not None and len(text) > longest:
        return text[: longest - 1] + _CUT
    return text


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else MARK
