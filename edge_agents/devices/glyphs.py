"""Text for a device that has the glyphs of one code page only.

A letter that it lacks is shown without its accents, anything else as "?", so that a name stays
readable and a line keeps its length.
"""

from __future__ import annotations

import unicodedata

from kessai.plain_text import plain


def glyphs(text: str, code_page: str) -> str:
    """The text in plain form (NFC, one line), each character one that the code page has."""
    return "".join(_glyph(character, code_page) for character in plain(text))


def _glyph(character: str, code_page: str) -> str:
    if _has(character, code_page):
        return character
    if unicodedata.combining(character):
        return ""
    letter = unicodedata.normalize("NFD", character)[0]
    return letter if _has(letter, code_page) else "?"


def _has(character: str, code_page: str) -> bool:
    try:
        character.encode(code_page)
    except UnicodeEncodeError:
        return False
    return True
