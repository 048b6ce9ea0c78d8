"""Texts of any length on a small display: pages that are shown in turn.

A page ends where a sentence ends if it can; a longer sentence is divided between words, evenly, so
that no page has a word alone. Lines of a page are filled evenly, too.
"""

from __future__ import annotations

import re
import textwrap

_SENTENCES = re.compile(r"(?<=[.!?])\s+")


def lines_of(text: str, columns: int) -> list[str]:
    """The text in as few lines as it needs, of about the same length; [""] for none."""
    width, lines = columns, textwrap.wrap(text, columns) or [""]
    while width > 1 and len(narrower := textwrap.wrap(text, width - 1)) == len(lines):
        width, lines = width - 1, narrower
    return lines


def pages_of(text: str, columns: int, rows: int) -> list[list[str]]:
    """The text in pages of at most so many lines; a page without text has none."""
    pages: list[list[str]] = []
    for part in _parts(_SENTENCES.split(text.strip()), columns, rows):
        lines = lines_of(part, columns)
        pages += [lines[start : start + rows] for start in range(0, len(lines), rows)]
    return pages


def headed(headline: str, text: str, columns: int, under: str = "") -> list[tuple[str, str]]:
    """Two lines a page: a headline over the first sentences, then the others.

    If not even one sentence fits under the headline, `under` stands there.
    """
    sentences = _SENTENCES.split(text.strip())
    first, *rest = _parts(sentences, columns, rows=1)
    if len(first) > columns:
        first, rest = under, sentences
    pages = [(headline, first)]
    for page in pages_of(" ".join(rest), columns, rows=2) if rest else []:
        upper, lower = (*page, "")[:2]
        pages.append((upper, lower))
    return pages


def _parts(sentences: list[str], columns: int, rows: int) -> list[str]:
    """Sentences put together as long as they share a page."""
    parts = sentences[:1]
    for sentence in sentences[1:]:
        both = f"{parts[-1]} {sentence}"
        if len(lines_of(both, columns)) <= rows:
            parts[-1] = both
        else:
            parts.append(sentence)
    return parts
