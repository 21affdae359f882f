"""A prompt's file: front matter that a few lines of code can read, then the instruction.

It is YAML, of which only this much is understood: title and description, then arguments, each with
a description and required, two spaces a level. What YAML would read otherwise is a fault.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_MARK = "---"
_LINE = re.compile(r"(?P<indent> *)(?P<key>[a-z][a-z0-9_]*):(?: (?P<value>\S|\S.*\S))?", re.ASCII)
_NOT_PLAIN = re.compile(r"""["'\[\]{}>|*&!%#`@,?:-]|.*(: | #|:$)|[^ -~]""")
_TOOL = re.compile(r"`([a-z][a-z0-9_]*)\(", re.ASCII)

_TEXTS = ("title", "description")
_OF_AN_ARGUMENT = ("description", "required")


class PromptFileError(ValueError):
    """A prompt's file is not as it should be; says where."""

    def __init__(self, file: str, line: int, fault: str) -> None:
        super().__init__(f"{file}:{line}: {fault}")


@dataclass(frozen=True, kw_only=True)
class Argument:
    """What a person may fill in."""

    name: str
    description: str
    required: bool


@dataclass(frozen=True, kw_only=True)
class PromptFile:
    """One file, read. Its tools are written as calls between backticks, so that they are known."""

    name: str
    title: str
    description: str
    arguments: Sequence[Argument]
    body: str

    @property
    def tools(self) -> frozenset[str]:
        return frozenset(_TOOL.findall(self.body))

    def instruction(self, tool_prefix: str) -> str:
        """The body, with its tools under the names they have on this server."""
        return _TOOL.sub(lambda found: f"`{tool_prefix}{found[1]}(", self.body)


def read_prompt(file: str, text: str) -> PromptFile:
    """Read the text of `<name>.md`.

    Raises:
        PromptFileError: names the file, the line, and what is wrong there.
    """
    return _Reader(file).read(text.splitlines())


@dataclass
class _Section:
    """A key without a value, and the keys below it."""

    line: int
    values: dict[str, str] = field(default_factory=dict[str, str])


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file
        self._top = _Section(1)
        self._arguments: dict[str, _Section] = {}
        self._arguments_line = 0

    def read(self, lines: Sequence[str]) -> PromptFile:
        if not lines or lines[0] != _MARK:
            raise self._fault(1, f"front matter has to begin with {_MARK}")
        if _MARK not in lines[1:]:
            raise self._fault(len(lines), f"front matter has to end with {_MARK}")
        end = lines.index(_MARK, 1)
        for number, line in enumerate(lines[1:end], start=2):
            self._take(number, line)
        self._require(self._top, _TEXTS)
        if self._arguments_line and not self._arguments:
            raise self._fault(self._arguments_line, "arguments has nothing below it")
        body = "\n".join(lines[end + 1 :]).strip()
        if not body:
            raise self._fault(len(lines), "there is no instruction below the front matter")
        return PromptFile(
            name=self._file.removesuffix(".md"),
            title=self._top.values["title"],
            description=self._top.values["description"],
            arguments=[self._argument(name, found) for name, found in self._arguments.items()],
            body=body,
        )

    def _take(self, number: int, line: str) -> None:
        found = _LINE.fullmatch(line)
        if found is None:
            raise self._fault(number, "has to be `key: value`, without tabs and trailing spaces")
        key, value = found["key"], found["value"]
        match len(found["indent"]):
            case 0 if key == "arguments":
                self._begin_arguments(number, value)
            case 0 if self._arguments_line:
                raise self._fault(number, f"{key} has to stand before arguments")
            case 0:
                self._enter(self._top, number, key, value, _TEXTS)
            case 2 if self._arguments_line:
                self._begin_argument(number, key, value)
            case 4 if self._arguments:
                argument = list(self._arguments.values())[-1]
                self._enter(argument, number, key, value, _OF_AN_ARGUMENT)
            case spaces:
                raise self._fault(number, f"{spaces} spaces before {key} belong to nothing above")

    def _begin_arguments(self, number: int, value: str | None) -> None:
        if self._arguments_line:
            raise self._fault(number, "arguments stands here a second time")
        if value is not None:
            raise self._fault(number, "arguments has its values on the lines below")
        self._arguments_line = number

    def _begin_argument(self, number: int, name: str, value: str | None) -> None:
        if name in self._arguments:
            raise self._fault(number, f"argument {name} stands here a second time")
        if value is not None:
            raise self._fault(number, f"argument {name} has its values on the lines below")
        self._arguments[name] = _Section(number)

    def _enter(
        self, section: _Section, number: int, key: str, value: str | None, known: Sequence[str]
    ) -> None:
        if key not in known:
            raise self._fault(number, f"{key} is not known here; known: {', '.join(known)}")
        if key in section.values:
            raise self._fault(number, f"{key} stands here a second time")
        if value is None:
            raise self._fault(number, f"{key} has no value")
        if _NOT_PLAIN.match(value):
            raise self._fault(number, f"the value of {key} is not plain text: YAML would read more")
        if key == "required" and value not in {"true", "false"}:
            raise self._fault(number, "required is true or false")
        section.values[key] = value

    def _argument(self, name: str, found: _Section) -> Argument:
        self._require(found, _OF_AN_ARGUMENT)
        return Argument(
            name=name,
            description=found.values["description"],
            required=found.values["required"] == "true",
        )

    def _require(self, section: _Section, keys: Sequence[str]) -> None:
        if missing := [key for key in keys if key not in section.values]:
            raise self._fault(section.line, f"{' and '.join(missing)} missing")

    def _fault(self, line: int, fault: str) -> PromptFileError:
        return PromptFileError(self._file, line, fault)
