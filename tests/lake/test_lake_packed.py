from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsflake.lake.packed import encoded, joined, pack, unpack

SCHEMA = pa.schema(
    [
        ("number", pa.int32()),
        ("score", pa.float64()),
        ("texts", pa.list_(pa.string())),
        ("who", pa.struct([("name", pa.string()), ("in", pa.struct([("uid", pa.string())]))])),
        ("found", pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))),
        ("rest", pa.map_(pa.string(), pa.string())),
    ]
)
WORDS = st.none() | st.sampled_from(["", "a", "b" * 20])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "number": st.none() | st.integers(0, 2),
            "score": st.none() | st.sampled_from([0.0, -0.0, 1.5]),
            "texts": st.none() | st.lists(WORDS, max_size=2),
            "who": st.none()
            | st.fixed_dictionaries({"name": WORDS, "in": st.none() | st.fixed_dictionaries({"uid": WORDS})}),
            "found": st.none() | st.lists(st.fixed_dictionaries({"name": WORDS, "value": WORDS}), max_size=2),
            "rest": st.none() | st.lists(st.tuples(st.sampled_from(["k", "l"]), WORDS), max_size=1),
        }
    ),
    min_size=1,
    max_size=4,
)


def batch(rows):
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


@settings(deadline=None, max_examples=300)
@given(st.lists(ROWS | ROWS.map(lambda rows: rows[:1] * 3), min_size=1, max_size=3), st.randoms())
def test_gives_back_the_rows_in_any_order(parts, rng):
    """Whatever is the same in all rows of a part, joining and sorting parts is what it is for plain batches."""
    rows = [row for part in parts for row in part]
    order = rng.sample(range(len(rows)), len(rows))

    found = joined([pack(batch(part)) for part in parts], pa.array(order, pa.int64()))

    assert repr(unpack(found, SCHEMA).to_pylist()) == repr(batch([rows[place] for place in order]).to_pylist())


@settings(deadline=None, max_examples=200)
@given(st.lists(ROWS | ROWS.map(lambda rows: rows[:1] * 3), min_size=1, max_size=3))
def test_dictionaries_hold_the_same_rows(parts):
    """A schema with dictionaries, made for the first part, takes the others too."""
    packed = [pack(batch(part)) for part in parts]
    schema = encoded(SCHEMA, packed[:1])

    found = pa.Table.from_batches([unpack(part, schema) for part in packed])

    assert repr(found.to_pylist()) == repr(batch([row for part in parts for row in part]).to_pylist())


def test_what_is_the_same_takes_no_memory():
    """Of a column of one value a single one is kept, and not the memory that it was cut from."""
    rows = [{"number": 7, "who": {"name": "x" * 1000, "in": None}}] * 1_000

    packed = pack(batch(rows))

    assert packed.nbytes < 10_000
    assert {len(leaf) for leaf in packed.leaves} == {1}
    assert max(leaf.get_total_buffer_size() for leaf in packed.leaves) < 2_000


@pytest.mark.parametrize("start", [0, 3])
def test_a_slice_is_those_rows(start):
    rows = [{"number": number, "texts": ["a"]} for number in range(6)]

    packed = pack(batch(rows)).slice(start, 3)

    assert unpack(packed, SCHEMA).equals(batch(rows[start : start + 3]))


def test_counts_the_bytes_of_what_differs():
    """A value for all rows counts for nothing, a buffer that two columns share for once, and a slice for its part."""
    time = pa.array(range(100), pa.int64())
    columns = {"time": time, "time_dt": time.view(pa.timestamp("ms", "UTC")), "name": pa.array(["x" * 50] * 100)}
    columns["port"] = pa.array(range(100), pa.int32())

    found = pack(pa.RecordBatch.from_pydict(columns))

    assert found.nbytes == time.nbytes + columns["port"].nbytes
    assert found.slice(10, 25).nbytes == found.nbytes // 4
