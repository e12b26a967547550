# -*- test-case-name: tests.wire.framings.http1.test_refusals -*-
"""
Bytes that were fed, and the lines among them.

A line ends in CR LF, here more strictly than RFC 9112 section 2.2 has it: who takes a
bare LF for an end, while another does not, sees other messages in the same bytes.
"""

from __future__ import annotations

from typing import TypeAlias

from tunnelkit.wire.framings.http1.answers import Malformed

Excess: TypeAlias = tuple[int, str]
"""What a L{Malformed} says of what is too long."""


class Source:
    """
    What was fed and is not taken yet.
    """

    def __init__(self) -> None:
        self._data = b""
        self._at = 0

    def __len__(self) -> int:
        return len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        """
        Add bytes.
        """
        # What is fed to an empty source is kept as it is, not copied: bodies are.
        self._data = self._data[self._at :] + data if len(self) else data
        self._at = 0

    def first(self) -> bytes:
        """
        Look at the first byte; nothing where there is none.
        """
        return self._data[self._at : self._at + 1]

    def take(self, most: int | None = None) -> bytes:
        """
        Take what is there.

        @param most: how many bytes at most.
        """
        end = len(self._data) if most is None else self._at + most
        taken = self._data[self._at : end]
        self._at += len(taken)
        if self._at == len(self._data):
            self._data, self._at = b"", 0
        return taken

    def line(self, longest: int, excess: Excess) -> bytes | None:
        """
        Take a line, without its end; None where it is not all there.

        @param longest: how many bytes it may have, with its end.
        @param excess: what is said if it has more.
        @raise Malformed: it has, or it does not end as a line must.
        """
        end = self._data.find(b"\n", self._at, self._at + longest)
        if end < 0:
            if len(self) >= longest:
                raise Malformed(*excess)
            return None
        if end == self._at or self._data[end - 1] != 0x0D:
            raise Malformed(400, "a line ends in LF without CR")
        return self.take(end + 1 - self._at)[:-2]

    def block(self, longest: int) -> list[bytes] | None:
        """
        Take lines up to an empty one, without their ends and without that one, where
        all are there and in order; None otherwise, and then nothing is taken.

        @param longest: how many bytes they may have, with their ends.
        """
        end = self._data.find(b"\r\n\r\n", self._at, self._at + longest)
        lines = self._data[self._at : max(end, self._at)].split(b"\r\n")
        if not lines[0] or any(b"\n" in line for line in lines):
            return None
        self.take(end + 4 - self._at)
        return lines


class Lines:
    """
    Lines up to an empty one: a head, or trailers.
    """

    def __init__(
        self,
        source: Source,
        longest: int,
        most: int,
        excess: Excess,
        first: Excess | None = None,
    ) -> None:
        """
        @param longest: how many bytes all may have, with their ends.
        @param most: how many lines there may be.
        @param excess: what is said if there are more of either.
        @param first: what is said if the first line alone is too long.
        """
        self._source = source
        self._longest = longest
        self._most = most
        self._excess = excess
        self._first = first or excess
        self._room = longest
        self._lines: list[bytes] = []

    @property
    def begun(self) -> bool:
        """
        Whether there is a line.
        """
        return bool(self._lines)

    def read(self) -> list[bytes] | None:
        """
        Take the lines, without their ends and without the empty one; None where that
        has not come yet.

        @raise Malformed: they are too long or too many, or do not end as lines must.
        """
        if not self._lines and (lines := self._source.block(self._longest)) is not None:
            # As a rule a head comes whole.
            if len(lines) > self._most:
                raise Malformed(*self._excess)
            return lines
        while (line := self._line()) is not None:
            if not line:
                lines, self._lines, self._room = self._lines, [], self._longest
                return lines
            self._room -= len(line) + 2
            if len(self._lines) == self._most:
                raise Malformed(*self._excess)
            self._lines.append(line)
        return None

    def _line(self) -> bytes | None:
        excess = self._excess if self._lines else self._first
        return self._source.line(self._room, excess)
