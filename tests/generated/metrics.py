"""docs/reference/metrics.md: what `GET /metrics` shows."""

from __future__ import annotations

from epaxos.interfaces.metrics import Definition, Kind
from epaxos.node import metrics as of_node
from epaxos.resp import metrics as of_clients
from epaxos.service import loop_watch
from tests.generated.page import page, rows

__all__ = ["DEFINITIONS", "metrics", "names_of"]

DEFINITIONS = [*of_node.DEFINITIONS, *of_clients.DEFINITIONS, loop_watch.DEFINITION]


def names_of(definition: Definition) -> list[str]:
    """The names of its series."""
    name = definition.name
    if definition.kind is Kind.HISTOGRAM:
        return [f"{name}_bucket", f"{name}_count", f"{name}_sum"]
    return [f"{name}_total"] if definition.kind is Kind.COUNTER else [name]


def _shown(definition: Definition) -> str:
    name = definition.name + ("_total" if definition.kind is Kind.COUNTER else "")
    return f"`{name}`" + "".join(f" `{label}`" for label in definition.labels)


def metrics() -> str:
    """The page."""
    table = rows(
        ["metric, and its labels", "kind", "meaning"],
        ([_shown(each), each.kind.value, each.help] for each in DEFINITIONS),
    )
    return page(
        "Metrics",
        "the definitions in epaxos/node/metrics.py, epaxos/resp/metrics.py and epaxos/service/loop_watch.py",
        "`GET /metrics` on the status port answers in the text format of Prometheus. Counters begin at 0 "
        "with each start of a replica; `CONFIG RESETSTAT` resets those of commands and connections, too. "
        "Beside these it shows what Prometheus' own client library tells of every process (`process_…`, "
        "`python_gc_…`). What to do with them: "
        "[look at it](../operating/status.md#prometheus-and-grafana).",
        table,
    )
