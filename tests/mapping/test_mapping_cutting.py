"""Any table, any records: a record becomes the same event alone as among others, and none of its values is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from toy import toy

from ocsflake.errors import SchemaError
from ocsflake.mapping import at, is_ip, when
from ocsflake.mapping.paths import EACH
from ocsflake.model import RawBatch
from ocsflake.ocsf import load
from ocsflake.ocsf.json_lines import json_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocsflake.mapping import Expr, Mapper

PATHS = ["a", "b", "a.b", "b.a", "a[]", "a[].b", "a[].b[].a", "b[].a", "b[][]", "a[].a.b"]
WORDS = ["", "-", "x", "GetX", "192.0.2.1", "2001:db8::1", "2026-01-02T03:04:05Z", "1767323045", "x/y", "true", "[1]"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(WORDS),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63 - 1, 2**63, -(2**63), 10**30, 1.5, 1e300]),
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=6,
)
records = st.dictionaries(st.sampled_from(["a", "b", "c"]), json_values, max_size=3)
words = st.sampled_from(WORDS)
raw_values = st.sampled_from(PATHS).map(at)


def conditions(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    simple = st.one_of(
        st.tuples(inner, words | inner).map(lambda pair: pair[0] == pair[1]),
        inner.map(lambda x: x.is_null()),
        inner.map(lambda x: x.is_in(["x", "1"])),
        inner.map(is_ip),
    )
    pairs = st.tuples(simple, simple)
    return st.one_of(
        simple, simple.map(lambda c: ~c), pairs.map(lambda p: p[0] & p[1]), pairs.map(lambda p: p[0] | p[1])
    )


def grown(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.one_of(
        st.tuples(inner, inner | words).map(lambda pair: pair[0].or_(pair[1])),
        st.tuples(inner, conditions(inner)).map(lambda pair: pair[0].only_if(pair[1])),
        st.tuples(conditions(inner), inner, inner | words).map(lambda three: when(*three)),
        inner.map(lambda x: x.lookup({"x": "ex", "1": "one"}, default="else")),
        inner.map(lambda x: x.lookup_prefix({"Get": "read"})),
        inner.map(lambda x: x.text()),
        inner.map(lambda x: x.lower()),
        inner.map(lambda x: x.split("/", 0)),
    )


expressions = st.recursive(raw_values, grown, max_leaves=4)
numbers = expressions | st.tuples(raw_values, st.sampled_from(["s", "ms", "us", "ns"])).map(lambda p: p[0].epoch(p[1]))
tables = st.fixed_dictionaries(
    {},
    optional={
        "message": expressions,
        "count": expressions,
        "start_time": numbers,
        "resources[].uid": expressions,
        "resources[].data": expressions,
        "resources[].labels": expressions,
        "finding_info.types": expressions,
        "evidences[].src_endpoint.ip": expressions,
        "evidences[].data": raw_values,
        "vulnerabilities[].is_exploit_available": expressions,
        "vulnerabilities[].severity": expressions,
    },
)


def about_one_list(expression: Expr) -> bool:
    """Return whether an expression reads elements of one list at most: those of two do not belong together."""
    return len({path[: path.index(EACH)] for path in expression.raw_paths() if EACH in path}) < 2


def lines(mapper: Mapper, batches: Sequence[RawBatch], rows: int) -> tuple[list[bytes], list[tuple[Any, ...]]]:
    """Return events and rejects, in order."""
    event_class = load("1.1.0").event_class("detection_finding", load("1.1.0").profiles())
    events, rejects = [], []
    for mapped in mapper.map_batches(batches, rows=rows):
        assert mapped.records == mapped.mapped + mapped.rejects.num_rows
        events += [line for batch in mapped.batches for line in json_lines(batch.events, event_class)]
        rejects += [(row["record"], row["reason"], row["attribute"]) for row in mapped.rejects.to_pylist()]
    return events, rejects


@given(fields=tables, objects=st.lists(records, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@example(fields={"resources[].uid": at("a[].b").or_(at("b"))}, objects=[{"a": [{}], "b": "x"}, {"a": [{"b": "y"}]}])
@example(
    fields={"message": at("a[]").only_if(~at("a[].b").or_(at("b")).is_in(["x"])).text()},
    objects=[{"a": None, "b": None}, {"a": {}}],
)
@example(
    fields={"message": at("a[]").only_if(~at("b").or_(at("a[].b")).is_in(["x"])).text()},
    objects=[{"a": None, "b": None}, {"a": {}}],
)
@example(fields={"count": at("a")}, objects=[{"a": str(2**31)}, {"a": "0x1f"}, {"a": "5"}, {"a": 2**63 - 1}])
def test_a_record_alone_and_among_others(fields: dict[str, Any], objects: list[dict[str, Any]]) -> None:
    """One batch of records, or a batch a record: the same events and the same rejects."""
    assume(all(map(about_one_list, fields.values())))
    mapper = toy(fields, null_words=("-",))
    try:
        mapper.check("1.1.0")
    except SchemaError:
        assume(False)
    batches = [RawBatch([json.dumps(found).encode()]) for found in objects]

    assert lines(mapper, batches, rows=1) == lines(mapper, batches, rows=100)
