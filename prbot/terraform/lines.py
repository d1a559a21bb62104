"""Bytes of a process into lines for people, and the bounded tail that is kept of them. No I/O."""

from __future__ import annotations

import codecs
import io
from collections import deque

LINE_LIMIT = 16 * 1024
"""Characters of one line that are passed on."""
TAIL_LIMIT = 4 * 1024 * 1024
"""Bytes of output that are kept."""
TAIL_NOTICE = f"[prbot: earlier output is left out; the last {TAIL_LIMIT} bytes follow]\n"


class LineSplitter:
    r"""Splits a byte stream into lines, without their ends: `\n`, `\r\n`, or a lone `\r` (of a progress bar).

    Invalid UTF-8 becomes U+FFFD. A line longer than LINE_LIMIT is passed on up to there, with a notice in place of the
    rest, as soon as it is that long: memory is bounded whatever comes.
    """

    def __init__(self) -> None:
        self._decode = _decoder()
        self._begun = ""
        self._overlong = False

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes."""
        return self._lines(self._decode.decode(data))

    def finish(self) -> list[str]:
        """What is left: a last line that has no end."""
        lines = self._lines(self._decode.decode(b"", final=True))
        last, self._begun = self._begun, ""
        return [*lines, last] if last else lines

    def _lines(self, text: str) -> list[str]:
        *ended, begun = text.split("\n")
        lines = []
        for piece in ended:
            line = self._extend(piece)
            if line is not None or not self._overlong:
                lines.append(self._begun if line is None else line)
            self._begun, self._overlong = "", False
        line = self._extend(begun)
        if line is not None:
            lines.append(line)
        return lines

    def _extend(self, piece: str) -> str | None:
        """Add to the line that has begun. The cut line, at the moment at which it gets too long."""
        if self._overlong:
            return None
        self._begun += piece
        if len(self._begun) <= LINE_LIMIT:
            return None
        cut, self._begun, self._overlong = self._begun[:LINE_LIMIT], "", True
        return f"{cut} [prbot: the rest of this line is left out; it is longer than {LINE_LIMIT} characters]"


class Tail:
    """Keeps the last TAIL_LIMIT bytes of what it is given."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._dropped = False

    def add(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        while self._size - len(self._chunks[0]) >= TAIL_LIMIT:
            self._size -= len(self._chunks.popleft())
            self._dropped = True

    def text(self) -> str:
        """The tail, decoded as lines are. After a cut it begins with TAIL_NOTICE, then with a whole line."""
        data = b"".join(self._chunks)
        if not self._dropped and len(data) <= TAIL_LIMIT:
            return _decoder().decode(data, final=True)
        cut, _, whole_lines = data[-TAIL_LIMIT:].partition(b"\n")
        return TAIL_NOTICE + _decoder().decode(whole_lines or cut, final=True)


def _decoder() -> io.IncrementalNewlineDecoder:
    return io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
