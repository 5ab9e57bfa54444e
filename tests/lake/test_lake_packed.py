from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
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


SET_WORDS = pa.array(["b" * 20, "a", "z", ""])


def batch(rows):
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def worded(columns):
    """The same rows with two texts, one of them within lists, as dictionaries of set words."""
    for place in range(columns.num_columns):
        columns = columns.set_column(place, columns.schema.names[place], with_words(columns.column(place)))
    return columns


def with_words(column, name=""):
    if pa.types.is_struct(column.type):
        members = [with_words(column.field(place), child.name) for place, child in enumerate(column.type)]
        return pa.StructArray.from_arrays(members, [child.name for child in column.type], mask=column.is_null())
    if pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type):
        return pa.ListArray.from_arrays(column.offsets, with_words(column.values), mask=column.is_null())
    if name == "name":
        places = pc.index_in(column, value_set=SET_WORDS).cast(pa.int8())
        return pa.DictionaryArray.from_arrays(pc.if_else(column.is_null(), None, places), SET_WORDS)
    return column


PARTS = st.lists(st.tuples(ROWS | ROWS.map(lambda rows: rows[:1] * 3), st.booleans()), min_size=1, max_size=3)


def packs(parts):
    return [pack(worded(batch(rows)) if words else batch(rows)) for rows, words in parts]


@settings(deadline=None, max_examples=300)
@given(PARTS, st.randoms())
def test_gives_back_the_rows_in_any_order(parts, rng):
    """Whatever is the same in all rows of a part, or a dictionary, joining and sorting is what it is for plain rows."""
    rows = [row for part, _ in parts for row in part]
    order = rng.sample(range(len(rows)), len(rows))

    found = joined(packs(parts), pa.array(order, pa.int64()))

    assert repr(unpack([found], SCHEMA).to_pylist()) == repr(batch([rows[place] for place in order]).to_pylist())


@settings(deadline=None, max_examples=200)
@given(PARTS)
def test_dictionaries_hold_the_same_rows(parts):
    """A schema with dictionaries, made for the first part, takes the others too."""
    packed = packs(parts)
    schema = encoded(SCHEMA, packed[:1])

    found = pa.concat_tables([unpack([part], schema) for part in packed])

    assert repr(found.to_pylist()) == repr(batch([row for part, _ in parts for row in part]).to_pylist())


def test_set_words_stay_dictionaries():
    """Parts that have or can have the same dictionary are joined as one, and the schema for Parquet says so."""
    names = [["a", "z"], ["a", "a"], [None, None]]
    rows = [[{"who": {"name": n}, "found": [{"name": "z", "value": str(at)}]} for at, n in enumerate(p)] for p in names]
    parts = [pack(worded(batch(part))) for part in rows]

    schema = encoded(SCHEMA, parts)
    found = unpack([joined(parts)], schema)

    assert [schema.field("who").type.field("name").type, schema.field("found").type.value_type.field("name").type] == [
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.string()),
    ]
    assert found.to_pylist() == batch([row for part in rows for row in part]).to_pylist()


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

    assert unpack([packed], SCHEMA).to_batches() == [batch(rows[start : start + 3])]


def test_counts_the_bytes_of_what_differs():
    """A value for all rows counts for nothing, a buffer that two columns share for once, and a slice for its part."""
    time = pa.array(range(100), pa.int64())
    columns = {"time": time, "time_dt": time.view(pa.timestamp("ms", "UTC")), "name": pa.array(["x" * 50] * 100)}
    columns["port"] = pa.array(range(100), pa.int32())

    found = pack(pa.RecordBatch.from_pydict(columns))

    assert found.nbytes == time.nbytes + columns["port"].nbytes
    assert found.slice(10, 25).nbytes == found.nbytes // 4
