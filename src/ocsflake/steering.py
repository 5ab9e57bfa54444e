"""Text that others wrote, as people are shown it: nothing in it steers a terminal or a page, or hides."""

from __future__ import annotations

import re

__all__ = ["clean", "clean_line"]

_STEERING = "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
"""Control characters, what turns the direction of text, what has no width, and half characters."""
_IN_TEXT, _IN_LINE = re.compile(rf"(?![\n\t]){_STEERING}"), re.compile(_STEERING)


def clean(text: str) -> str:
    """Return text with all but newlines and tabs of this made visible, as Python writes it."""
    return _IN_TEXT.sub(_visible, text)


def clean_line(text: str) -> str:
    """Return text on one line, newlines and tabs made visible too."""
    return _IN_LINE.sub(_visible, text)


def _visible(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
