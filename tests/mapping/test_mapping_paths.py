"""Raw paths: how they are written, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsflake.errors import SchemaError
from ocsflake.mapping.paths import EACH, join, parse


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a", ("a",)),
        ("userIdentity.arn", ("userIdentity", "arn")),
        ("resources[].ARN", ("resources", EACH, "ARN")),
        ("a[][].b[]", ("a", EACH, EACH, "b", EACH)),
        ('labels."example.com/x"', ("labels", "example.com/x")),
        ('"a.b"[].c', ("a.b", EACH, "c")),
        (r'"a\"b\\c"', ('a"b\\c',)),
        ('""', ("",)),
        ("with space.ключ", ("with space", "ключ")),
    ],
)
def test_written(text: str, steps: tuple[str, ...]) -> None:
    """A path is keys joined by dots, ``[]`` behind a list, odd keys in double quotes; it is written back the same."""
    assert parse(text) == steps
    assert join(steps) == text


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "[]", "a[", "a[0]", 'a."b', "a]b", 'a"b', "a[].", '"a"b']
)
def test_no_path(text: str) -> None:
    """What is no path is refused, with the place where it breaks off."""
    with pytest.raises(SchemaError, match=r"is not a path \(at character [0-9]+\): write keys joined by dots"):
        parse(text)


@given(st.lists(st.text(max_size=6).filter(lambda key: key != EACH), min_size=1, max_size=4).map(tuple))
def test_any_key_can_be_written(steps: tuple[str, ...]) -> None:
    """Whatever the keys of a log hold, a path names them."""
    assert parse(join(steps)) == steps
