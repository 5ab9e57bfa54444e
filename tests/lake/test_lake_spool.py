from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsflake.lake.packed import pack, unpack
from ocsflake.lake.spool import Rows, Spool

SCHEMA = pa.schema([("v", pa.string())])


def rows(keys, start=0, width=0):
    values = [f"{start + n}:" + "x" * width for n in range(len(keys))]
    return Rows(pa.array(keys, pa.int64()), pack(pa.RecordBatch.from_pydict({"v": values})))


def values_of(events):
    return unpack([events], SCHEMA).column("v").to_pylist()


def merged(spool):
    """All (key, value) in the order in which they come, and the sizes of the batches."""
    parts = list(spool.merge())
    pairs = [pair for part in parts for pair in zip(part.keys.to_pylist(), values_of(part.events), strict=True)]
    return pairs, [part.events.rows for part in parts]


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 8) | st.integers(0, 2**62), max_size=12), st.booleans(), st.booleans()),
        max_size=12,
    )
)
def test_gives_back_what_it_took_in_a_stable_order(tmp_path_factory, script):
    """Whatever is spilled when, and however the chunks of the runs lie, it is one stable sort of all rows."""
    spool = Spool(tmp_path_factory.getbasetemp())
    expected = []
    for keys, wide, spill in script:
        if keys:
            batch = rows(keys, start=len(expected), width=70_000 if wide else 0)
            expected += zip(keys, values_of(batch.events), strict=True)
            spool.append(batch)
            if spill:
                spool.spill()

    assert spool.rows == len(expected)
    pairs, _ = merged(spool)

    assert pairs == sorted(expected, key=lambda pair: pair[0])
    assert spool.rows == spool.pending_bytes == spool.spilled_bytes == 0


def test_small_amounts_never_touch_the_disk(tmp_path):
    spool = Spool(tmp_path)
    spool.append(rows([2, 1]))

    assert spool.spilled_bytes == 0
    assert [key for key, _ in merged(spool)[0]] == [1, 2]


def test_the_file_has_no_name(tmp_path):
    spool = Spool(tmp_path)
    spool.append(rows([1], width=2_000))
    spool.spill()

    assert spool.spilled_bytes > 1_000
    assert spool.pending_bytes == 0
    assert list(tmp_path.iterdir()) == []
    spool.close()
    assert spool.rows == 0


def test_runs_that_do_not_overlap_are_not_mixed(tmp_path):
    """Input that is in order already is passed on chunk by chunk."""
    spool = Spool(tmp_path)
    for start in (0, 5_000, 10_000):
        spool.append(rows(range(start, start + 5_000), start=start))
        spool.spill()

    pairs, sizes = merged(spool)

    assert [key for key, _ in pairs] == list(range(15_000))
    assert max(sizes) <= 5_000


def test_can_be_filled_again_after_a_merge(tmp_path):
    spool = Spool(tmp_path)
    for _ in range(3):
        spool.append(rows([3, 1]))
        spool.spill()
        spool.append(rows([2]))
        assert [key for key, _ in merged(spool)[0]] == [1, 2, 3]


def test_many_tiny_batches_count_for_what_they_take(tmp_path):
    spool = Spool(tmp_path)
    for _ in range(100):
        spool.append(rows([1]))

    assert spool.pending_bytes > 100 * 1_000


def test_a_disk_that_fails_is_an_oserror(tmp_path):
    spool = Spool(tmp_path / "nothing")
    spool.append(rows([1]))

    with pytest.raises(OSError, match="No such file"):
        spool.spill()
