"""An ini file as sections of keys, and the errors that name what is wrong in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from configparser import ConfigParser, DuplicateOptionError, DuplicateSectionError, Error, ParsingError
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from epaxos.config.model import ConfigError
from epaxos.config.settings import Section

__all__ = ["IniFile", "unknown"]

_NO_SECTION = "\0"  # configparser's own defaults section, which this format does not have


class IniFile:
    """The sections of one file."""

    def __init__(self, path: Path, sections: ConfigParser) -> None:
        self.path = path
        self.sections = sections

    @classmethod
    def parse(cls, path: Path) -> IniFile:
        """Read the file.  Raises ConfigError, with the line."""
        sections = _empty()
        try:
            sections.read_string(path.read_bytes().decode("utf-8-sig"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
        except DuplicateSectionError as error:
            raise ConfigError(f"{path}: line {error.lineno}: [{error.section}] is there twice") from None
        except DuplicateOptionError as error:
            where = f"line {error.lineno}: [{error.section}] {error.option}"
            raise ConfigError(f"{path}: {where}: is there twice") from None
        except ParsingError as error:
            errors = getattr(error, "errors", None)  # which one of its subclasses does not have
            line = errors[0][0] if errors else getattr(error, "lineno", 1)
            raise ConfigError(f"{path}: line {line}: is neither [SECTION] nor KEY = VALUE") from None
        except Error as error:
            raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
        return cls(path, sections)

    @classmethod
    def of(cls, name: str, sections: Mapping[str, Mapping[str, str]]) -> IniFile:
        """Sections that are in no file.  Errors call them `name`."""
        parser = _empty()
        parser.read_dict(sections)
        return cls(Path(name), parser)

    def error(self, text: str) -> ConfigError:
        """An error that names this file."""
        return ConfigError(f"{self.path}: {text}")

    def read(self, section: Section, name: str = "") -> dict[str, Any]:
        """The values of the keys that the section gives; an empty dict when the file has no such section.

        `name` is the section's name in the file, where that differs from `section.name`.  Raises ConfigError.
        """
        name = name or section.name
        given = self.sections[name].items() if name in self.sections else ()
        values = {}
        for key, text in given:
            if key not in section.settings:
                raise self.error(f"[{name}] {key}: {unknown('key', key, section.settings)}")
            self._check_line(name, key, text)
            try:
                values[key] = section.settings[key].kind.read(text)
            except ValueError as why:
                shown = "" if section.settings[key].is_secret else f" = {text}"
                raise self.error(f"[{name}] {key}{shown}: {why}") from None
        self._need(section, name, values)
        return values

    def _need(self, section: Section, name: str, values: dict[str, Any]) -> None:
        """Raise ConfigError when a required key is not there, or the section that needs one."""
        required = [key for key, setting in section.settings.items() if setting.is_required]
        if required and name not in self.sections:
            raise self.error(f"the section [{name}] is missing")
        for key in required:
            if key not in values:
                raise self.error(f"[{name}] {key}: is missing")

    def options(self, name: str) -> dict[str, str]:
        """The keys of a section as they are; an empty dict when it is not there.  Raises ConfigError."""
        found = dict(self.sections.items(name)) if self.sections.has_section(name) else {}
        for key, text in found.items():
            self._check_line(name, key, text)
        return found

    def _check_line(self, name: str, key: str, text: str) -> None:
        if "\n" in text:
            raise self.error(f"[{name}] {key}: goes on in an indented line; give it in one line")


def _empty() -> ConfigParser:
    parser = ConfigParser(
        interpolation=None,
        default_section=_NO_SECTION,
        delimiters=("=",),
        comment_prefixes=("#", ";"),
        empty_lines_in_values=False,
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys are what they look like
    return parser


def unknown(what: str, name: str, allowed: Iterable[str]) -> str:
    """A text that says that this `what` is unknown, and names the one probably meant, or all allowed."""
    near = get_close_matches(name, allowed, 1)
    rest = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(allowed)}"
    return f"unknown {what}; {rest}"
