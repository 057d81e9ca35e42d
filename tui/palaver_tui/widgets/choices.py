"""A list to choose from that keeps its place while its content changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

Line = Callable[[int], Content]  # the line, drawn for a width in cells


class Choices(OptionList):
    """Lines with an id each, drawn to fit the width.

    Choosing one is `OptionList.OptionSelected`, by Enter or by a click.
    """

    def __init__(self, title: str, empty: str, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.border_title = Content(title)
        self._title = title
        self._empty = empty
        self._drawn: Sequence[tuple[str, Line]] = ()

    def show_lines(self, lines: Sequence[tuple[str, Line]], *, is_counted: bool = True) -> None:
        """Show these lines, by their ids, with the highlight where it was."""
        self._drawn = lines
        self.border_title = Content(f"{self._title} {len(lines)}" if is_counted and lines else self._title)
        self.draw()

    def on_resize(self) -> None:
        """Draw the lines anew for the new width."""
        self.draw()

    def draw(self) -> None:
        """Put the lines in, changing only what must be changed."""
        width = self.scrollable_content_region.width
        prompts = [(key, line(width)) for key, line in self._drawn]
        if not prompts:
            self.set_options([Option(Content.styled(self._empty, "$foreground-muted"), disabled=True)])
        elif [option.id for option in self.options] == [key for key, _ in prompts]:
            for option, (key, prompt) in zip(self.options, prompts, strict=True):
                if option.prompt != prompt:
                    self.replace_option_prompt(key, prompt)
        else:
            self._replace(prompts)

    def _replace(self, prompts: list[tuple[str, Content]]) -> None:
        chosen = self.highlighted_option.id if self.highlighted_option is not None else None
        place = self.scroll_offset
        with self.prevent(OptionList.OptionHighlighted):
            self.set_options(Option(prompt, id=key) for key, prompt in prompts)
            keys = [key for key, _ in prompts]
            self.highlighted = keys.index(chosen) if chosen in keys else 0
        self.scroll_to(*place, animate=False)
