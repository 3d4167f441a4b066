"""An answer as HTML, with thinking that the model wrote as text folded before it."""

from app.providers.thinking import LONGEST_TAG, OPENED, may_be_opening, split_thinking
from app.web.markdown import SECONDS, render
from app.web.markdown_stream import StreamRenderer

Changes = list[tuple[int, str]]
EVERY_CHARACTERS = 400
"""How much more thinking is worth showing the block anew."""


def folded(thinking: str, label: str = "Thinking", seconds: float = SECONDS) -> str:
    if not thinking and label == "Thinking":
        return ""
    return f'<details class="thoughts"><summary>{label}</summary>{render(thinking, seconds)}</details>'


def render_answer(text: str, seconds: float = SECONDS) -> str:
    """The whole answer, safe to put into a page."""
    thinking, answer = split_thinking(text)
    return folded(thinking, seconds=seconds) + render(answer, seconds)


class AnswerRenderer:
    """Renders an answer while it comes, as StreamRenderer does; its thinking, where there is some, is block 0."""

    def __init__(self) -> None:
        self._inner = StreamRenderer()
        self._offset = 0
        self._text = ""
        self._shown = 0
        self._most = 0
        self._state = "beginning"

    def feed(self, text: str) -> Changes:
        """Take more of the answer; returns what has changed on the page, often nothing."""
        self._text += text
        if self._state == "beginning":
            if may_be_opening(self._text):
                return []
            self._state = "thinking" if OPENED.match(self._text) else "answer"
            text = self._text
        if self._state == "thinking":
            return self._think()
        thinking = self._thinking_until_now(text)
        return self._fold_back(thinking) if thinking else self._moved(self._inner.feed(text))

    def finish(self) -> Changes:
        """The answer is whole: the blocks that still have to be set."""
        if self._state == "beginning":
            self._inner.feed(self._text)
        if self._state == "thinking":
            return [(0, folded(split_thinking(self._text)[0]))]
        return self._moved(self._inner.finish())

    def _think(self) -> Changes:
        thinking, answer = split_thinking(self._text)
        if not answer:
            if len(thinking) < self._shown + EVERY_CHARACTERS and self._shown:
                return []
            self._shown = max(1, len(thinking))
            return [(0, folded(thinking, "Thinking…"))]
        self._state, self._offset = "answer", 1
        return [(0, folded(thinking)), *self._moved(self._inner.feed(answer))]

    def _thinking_until_now(self, text: str) -> str:
        """All that was shown, where it turns out to be thinking: its end has come, without a beginning."""
        may_end = not self._offset and "think>" in self._text[-len(text) - LONGEST_TAG :]
        return split_thinking(self._text)[0] if may_end else ""

    def _fold_back(self, thinking: str) -> Changes:
        """Show it folded, and empty the blocks that it had."""
        answer = split_thinking(self._text)[1]
        blank = [(index, "") for index in range(1, self._most + 1)]
        self._inner, self._offset = StreamRenderer(), 1
        return [(0, folded(thinking)), *blank, *self._moved(self._inner.feed(answer))]

    def _moved(self, changes: Changes) -> Changes:
        moved = [(index + self._offset, html) for index, html in changes]
        self._most = max([self._most, *(index for index, _html in moved)])
        return moved
