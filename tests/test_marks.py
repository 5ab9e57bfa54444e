"""Sets of digests as text."""

from __future__ import annotations

from base64 import b64decode

from ocsflake.marks import among, is_in, mark_of, pack, unpack


def test_there_and_back() -> None:
    """A set comes back from its text, which does not depend on the order that it was made in."""
    marks = [mark_of("s3://b/k", str(number)) for number in range(50)]

    assert unpack(pack(marks)) == set(marks)
    assert pack(marks) == pack(reversed(marks))
    assert unpack(pack([])) == set()


def test_is_in() -> None:
    """A mark is found in the text without a set; one that is not there is not."""
    marks = [mark_of(str(number)) for number in range(50)]
    data = b64decode(pack(marks))

    assert all(is_in(found, data) for found in marks)
    assert not any(is_in(mark_of(str(number)), data) for number in range(50, 100))
    assert not is_in(marks[0], b"")


def test_texts_are_kept_apart() -> None:
    """Where one text ends and the next begins makes a difference, and half a character is a text too."""
    assert mark_of("ab", "c") != mark_of("a", "bc")
    assert len(mark_of("\ud800")) == 12


def test_among() -> None:
    """Of some marks, those that are kept are found, in any number of texts."""
    kept = [mark_of(str(number)) for number in range(100)]
    data = [b64decode(text) for text in (pack(kept[:30]), pack([]), pack(kept[30:]))]

    assert among([kept[3], mark_of("x"), kept[99]], data) == {kept[3], kept[99]}
    assert among([], data) == among(kept, []) == among(kept, [b""]) == set()
