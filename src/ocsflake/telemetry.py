"""Spans and metrics of runs, through the API of OpenTelemetry; without it installed nothing happens.

The process that runs us chooses where they go: ocsflake sets up no provider and no exporter. They hold names of
sources, ids of splits and numbers, and nothing of a record. Of an exception a span has the type alone: a message may
quote what a service said.

The API: https://opentelemetry.io/docs/languages/python/instrumentation/, names of attributes such as ``error.type``:
https://opentelemetry.io/docs/specs/semconv/
"""

from __future__ import annotations

import functools
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["count", "gauge", "span"]

_COUNTERS = {
    "records": ("{record}", "Records read"),
    "events": ("{event}", "Events written"),
    "rejects": ("{record}", "Records that became no event"),
    "duplicates": ("{record}", "Records that were taken before"),
    "drifted": ("{record}", "Records that held what their mapper does not know"),
    "read": ("By", "Size of the splits that were committed, as stored"),
    "written": ("By", "Size of the objects that were written"),
    "commits": ("{commit}", "Commits published"),
    "failures": ("{split}", "Splits that could not be read"),
}
_GAUGES = {"lag": ("s", "Age of the latest event of a commit when it was published")}


@contextmanager
def span(name: str, facts: Mapping[str, Any], *, current: bool = True) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Time a part of a run, and give a function that adds facts which are known later.

    Args:
        name: ``run``, ``commit`` or ``split``.
        facts: Attributes by their names after ``ocsflake.``.
        current: Whether spans that begin meanwhile are inside it; not where it ends in a generator.
    """
    tracer = _tracer()
    if tracer is None:
        yield lambda _: None
        return
    from opentelemetry import trace

    made = tracer.start_span(f"ocsflake.{name}", attributes=_named(facts))
    try:
        with trace.use_span(made, record_exception=False, set_status_on_exception=False) if current else nullcontext():
            yield lambda more: made.set_attributes(_named(more))
    except BaseException as error:
        if not isinstance(error, GeneratorExit):
            made.set_status(trace.StatusCode.ERROR, type(error).__name__)
            made.set_attribute("error.type", type(error).__qualname__)
        raise
    finally:
        made.end()


def count(amounts: Mapping[str, int], facts: Mapping[str, Any]) -> None:
    """Add to counters: ``records``, ``events``, ``rejects`` and the others that docs/operations.md has."""
    for name, amount in amounts.items():
        instrument = _instrument("counter", name, *_COUNTERS[name])
        if instrument is not None and amount:
            instrument.add(amount, _named(facts))


def gauge(name: str, value: float, facts: Mapping[str, Any]) -> None:
    """Set a gauge: ``lag``, in seconds."""
    instrument = _instrument("gauge", name, *_GAUGES[name])
    if instrument is not None:
        instrument.set(value, _named(facts))


def _named(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {f"ocsflake.{name}": value for name, value in facts.items()}


@functools.cache
def _tracer() -> Any:
    """Return a tracer, which asks for the process's provider each time; ``None`` if the API is not installed."""
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace.get_tracer("ocsflake")


@functools.cache
def _instrument(kind: str, name: str, unit: str, purpose: str) -> Any:
    """Return an instrument; ``None`` if the API is not installed."""
    try:
        from opentelemetry import metrics
    except ImportError:
        return None
    make = getattr(metrics.get_meter("ocsflake"), f"create_{kind}")
    return make(f"ocsflake.{name}", unit=unit, description=purpose)
