"""What people see on a terminal: rich's console and tables, which show all words as plain text.

Whatever is printed passes `Console.render`, where control characters are taken out, so nobody's
name can move the cursor or rename somebody's window. Square brackets are markup in one place alone,
the template of `styled`; in all other text, and in a table's cells, they are brackets. The rest of
rich (panels, progress, `Text`) is used as it is; `tests/house/test_console.py` keeps watch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rich.console
import rich.markup
import rich.table
from rich.segment import Segment
from rich.text import Text

from kessai.plain_text import plain


class Console(rich.console.Console):
    """A console that shows control characters as marks, and takes no text for markup."""

    def __init__(self, *, highlight: bool = False, **options: Any) -> None:  # noqa: ANN401
        """`options` are rich's own."""
        super().__init__(highlight=highlight, markup=False, emoji=False, **options)
        # rich would keep the COLUMNS of this moment, which for a module's console is its import.
        self._width, self._height = options.get("width"), options.get("height")

    def render(
        self,
        renderable: rich.console.RenderableType,
        options: rich.console.ConsoleOptions | None = None,
    ) -> Iterable[Segment]:
        """The segments of anything that is shown; rich's own movements of the cursor stay."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment("\n".join(map(plain, segment.text.split("\n"))), segment.style)


class Table(rich.table.Table):
    """A table whose cells are plain text of one line, or what was styled before."""

    @classmethod
    def grid(cls, *headers: rich.table.Column | str, **options: Any) -> Table:  # noqa: ANN401
        """Make a table with no lines and no header; `options` are rich's own."""
        made = super().grid(*headers, **options)
        assert isinstance(made, Table)  # noqa: S101  (rich makes one of this class)
        return made

    def add_row(
        self,
        *renderables: rich.console.RenderableType | None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Add a row; a cell that is a string is shown as it is, in one line."""
        super().add_row(*map(_cell, renderables), **options)


def styled(template: str, *values: object) -> Text:
    """Our own markup with somebody's values in it: `styled("[bold]{}[/] is open", name)`."""
    return Text.from_markup(
        template.format(*(rich.markup.escape(plain(str(value))) for value in values)), emoji=False
    )


def _cell(renderable: rich.console.RenderableType | None) -> rich.console.RenderableType | None:
    return Text(plain(renderable)) if isinstance(renderable, str) else renderable
