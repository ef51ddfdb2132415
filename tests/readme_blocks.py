"""What stands in a Markdown text: its sections, fenced blocks, and what is in back-ticks between them."""

import re
from dataclasses import dataclass

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!--\s*(.*?)\s*-->\s*$")
_FILE_NAME = re.compile(r"^# (\S+\.(?:py|yaml))\n")
_CODE = re.compile(r"(?<!`)`((?:[^`\n]|\n(?!\n))+)`(?!`)")
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: The word after the fence.
        text: What stands in it.
        mark: The comment ``<!-- mark -->`` in the line before.
    """

    language: str
    text: str
    mark: str

    @property
    def file_name(self) -> str | None:
        """The file that a reader is to write, if the first line is a comment that names one."""
        match = _FILE_NAME.match(self.text)
        return match[1] if match else None


@dataclass(frozen=True)
class Section:
    """What stands below a heading of the second level, up to the next one."""

    title: str
    text: str

    @property
    def blocks(self) -> list[Block]:
        """Its fenced blocks, in order."""
        found = []
        for match in _FENCE.finditer(self.text):
            mark = _MARK.search(self.text[: match.start()].rstrip("\n"))
            found.append(Block(match[1], match[2], mark[1] if mark else ""))
        return found

    @property
    def prose(self) -> str:
        """The text without its blocks."""
        return _FENCE.sub("", self.text)


def sections(text: str) -> list[Section]:
    """The sections of a text; the first has no title."""
    hidden = _FENCE.sub(lambda match: re.sub("^#", "\0", match[0], flags=re.MULTILINE), text)
    parts = re.split(r"^## (.*)\n", hidden.replace("\r\n", "\n"), flags=re.MULTILINE)
    titled = [("", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]
    return [Section(title, body.replace("\0", "#")) for title, body in titled]


def codes(prose: str) -> list[str]:
    """What stands in single back-ticks, each on one line."""
    return [" ".join(match[1].replace("\\|", "|").split()) for match in _CODE.finditer(prose)]


def links(prose: str) -> list[str]:
    """Where its links and pictures point to, anchors left out."""
    return [match[1] for match in _LINK.finditer(prose)]
