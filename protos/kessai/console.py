"""What people see on a terminal: rich's console and tables, which show all words as plain text.

Nothing in a table is cut. One that is too wide for the terminal shows its rows below each other, a
value a line; one that is piped is as wide as it is.

Whatever is printed passes `Console.render`, where control characters are taken out, so nobody's
name can move the cursor or rename somebody's window. Square brackets are markup in one place alone,
the template of `styled`; in all other text, and in a table's cells, they are brackets. The rest of
rich (panels, progress, `Text`) is used as it is; `tests/house/test_console.py` keeps watch.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from typing import Any

import rich.console
import rich.markup
import rich.table
from rich.measure import Measurement
from rich.segment import Segment
from rich.text import Text

from kessai.plain_text import plain

# More columns than any table has.
_WIDEST = 10_000


class Console(rich.console.Console):
    """A console that shows control characters as marks, and takes no text for markup."""

    def __init__(self, *, highlight: bool = False, **options: Any) -> None:  # noqa: ANN401
        """`options` are rich's own."""
        super().__init__(highlight=highlight, markup=False, emoji=False, **options)
        # rich would keep the COLUMNS of this moment, which for a module's console is its import.
        self._width, self._height = options.get("width"), options.get("height")

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401
        """Print; what is piped is neither cut nor wrapped. `options` are rich's own."""
        if not self.is_terminal:
            options.setdefault("crop", False)
            is_prose = all(isinstance(each, str | Text) for each in objects)
            options.setdefault("soft_wrap", self.soft_wrap or is_prose)
        super().print(*objects, **options)

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
    """A table whose cells are plain text of one line, or what was styled before.

    `empty` is what it says below its header when it has no rows.
    """

    empty = "none"

    def __rich_console__(
        self, console: rich.console.Console, options: rich.console.ConsoleOptions
    ) -> rich.console.RenderResult:
        """The table, or its rows below each other where it does not fit."""
        for column in self.columns:
            if column.overflow == "ellipsis" and not column.no_wrap:
                column.overflow = "fold"
        if not self.show_header or not self.columns:
            yield from super().__rich_console__(console, options)
            return
        if not self.rows:
            if self.title:
                yield self.title
            yield Text(self.empty, "dim")
            return
        for table in (self, self._without_empty_columns()):
            widest = Measurement.get(console, options.update(max_width=_WIDEST), table).maximum
            if widest <= options.max_width or not console.is_terminal:
                room = options.update(max_width=max(widest, options.max_width))
                yield from rich.table.Table.__rich_console__(table, console, room)
                return
        yield from self._rows_below_each_other()

    def _without_empty_columns(self) -> Table:
        fewer = copy(self)
        kept = [column for column in self.columns if any(map(_is_filled, column.cells))]
        fewer.columns = [replace(column, _index=index) for index, column in enumerate(kept)]
        return fewer

    def _rows_below_each_other(self) -> Iterable[rich.console.RenderableType]:
        if self.title:
            yield self.title
        for number, cells in enumerate(zip(*(each.cells for each in self.columns), strict=True)):
            if number:
                yield ""
            sheet = Table.grid(padding=(0, 2))
            sheet.add_column(style="dim", no_wrap=True)
            sheet.add_column(overflow="fold")
            for column, cell in zip(self.columns, cells, strict=True):
                if _is_filled(cell):
                    sheet.add_row(column.header, cell)
            yield sheet

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


def _is_filled(cell: rich.console.RenderableType) -> bool:
    return bool(cell.plain) if isinstance(cell, Text) else bool(cell)


def _cell(renderable: rich.console.RenderableType | None) -> rich.console.RenderableType | None:
    return Text(plain(renderable)) if isinstance(renderable, str) else renderable
