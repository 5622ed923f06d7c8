"""The lines of a replica's log, as `[log]` wants them."""

from __future__ import annotations

from typing import Any

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    eventAsJSON,
    eventAsText,
    textFileLogObserver,
)

from epaxos.config.log import Levels
from epaxos.config.settings import Log

__all__ = ["log_observer", "set_levels"]

_OF_PROGRAMS = ("log_logger", "log_source")
"""Objects of the program, of which JSON has no more than that they are there."""
_ALWAYS = ("log_time", "log_level", "log_namespace", "log_format")


def log_observer(file: Any, log: Log, predicate: LogLevelFilterPredicate | None = None) -> ILogObserver:
    """What writes an event to the file in a line, unless its level is too low for its part.

    `predicate`: what holds the levels, for those who want to change them.
    """
    lines = FileLogObserver(file, json_line) if log.format == "json" else textFileLogObserver(file)
    levels = predicate or LogLevelFilterPredicate()
    set_levels(levels, log.levels)
    predicates: list[Any] = [_pass_what_has_no_level, levels]
    return FilteringLogObserver(lines, predicates)


def set_levels(predicate: LogLevelFilterPredicate, levels: Levels) -> None:
    """Have the predicate let pass what these levels do, and nothing else."""
    predicate.clearLogLevels()
    for part, level in levels:
        predicate.setLogLevelForNamespace(part, LogLevel.levelWithName(level))


def _pass_what_has_no_level(event: LogEvent) -> Any:
    """Twisted would drop it."""
    has_level = event.get("log_level") is not None and event.get("log_namespace")
    return PredicateResult.maybe if has_level else PredicateResult.yes


def json_line(event: LogEvent) -> str:
    """The event as one JSON object in a line, which `twisted.logger.eventsFromJSONLogFile` can read.

    `log_text` is the text with its values, and the traceback of a failure.  An event that JSON cannot hold
    loses its fields, and never its text.
    """
    text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    fields = {name: value for name, value in event.items() if name not in _OF_PROGRAMS}
    try:
        line = eventAsJSON({**fields, "log_text": text})
    except Exception:  # whatever a value raises that somebody logs
        kept = {name: fields[name] for name in _ALWAYS if name in fields}
        line = eventAsJSON({**kept, "log_text": text, "log_format": "{log_text}"})
    return f"{line}\n"
