"""Charts and tables as HTML: the numbers are right, and a text is a text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from ocsflake.charts import OTHERS, Bar, bars, colours, days, legend, rendering, size_text, table, text


def rectangles(html: str) -> list[tuple[float, str, str]]:
    """Return height, colour and tip of each bar of a chart by day."""
    found = ElementTree.fromstring(html).findall("rect")
    return [(float(rect.attrib["height"]), rect.attrib["fill"], rect[0].text or "") for rect in found]


def labels(html: str) -> list[str]:
    """Return the texts of a chart."""
    return [each.text or "" for each in ElementTree.fromstring(html).findall("text")]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (123_456, "123 kB"), (4.2e15, "4200 TB")],
)
def test_sizes(size: float, text: str) -> None:
    """Bytes are told in the largest unit that leaves a digit before the point."""
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("<b>&\"'", "&lt;b&gt;&amp;&quot;&#x27;"),
        ("a\u202eb\x00\n\u200b\ud800", "a\\u202eb\\x00\\n\\u200b\\ud800"),
        ("x" * 200, "x" * 159 + "…"),
        (None, "None"),
    ],
)
def test_text(value: object, shown: str) -> None:
    """A value is escaped, what would steer a page is shown, and it is not endless."""
    assert text(value) == shown


class TestDays:
    def test_a_stack_by_day(self) -> None:
        """Heights follow the values, days without any are there, and the largest series is at the bottom."""
        html = days({("a", "20260301"): 30, ("b", "20260301"): 10, ("a", "20260303"): 20}, title="Things & more")
        found = rectangles(html)

        assert [tip for *_, tip in found] == ["03-01: a, 30", "03-01: b, 10", "03-03: a, 20"]
        assert found[0][0] == pytest.approx(3 * found[1][0], rel=0.01)
        assert found[0][1] == found[2][1] != found[1][1]
        assert labels(html) == ["0", "10", "20", "30", "40", "03-01", "03-02", "03-03"]
        assert ElementTree.fromstring(html).attrib["aria-label"] == "Things & more"

    def test_many_days_become_months(self) -> None:
        html = days({("a", day): 4 for day in ("20230115", "20240620", "20240621", "notaday!")}, title="t")

        assert [tip for *_, tip in rectangles(html)] == ["1970-01: a, 4", "2023-01: a, 4", "2024-06: a, 8"]

    def test_many_series_share_a_colour(self) -> None:
        values = {(f"s{number}", "20260301"): 100 - number for number in range(9)} | {(OTHERS, "20260301"): 1_000}
        found = colours(values)

        assert list(found) == [*(f"s{number}" for number in range(9)), OTHERS]
        assert len({*found.values()}) == 8
        assert found["s7"] == found["s8"] == found[OTHERS]
        assert re.findall("</i>(.*?)</li>", legend(values)) == [*(f"s{number}" for number in range(7)), OTHERS]

    def test_nothing(self) -> None:
        assert days({}, title="t") == ""

    @pytest.mark.parametrize(
        ("most", "top"), [(1, 4), (4, 4), (5, 8), (9, 12), (13, 20), (99, 100), (101, 200), (1_001, 2_000)]
    )
    def test_the_scale(self, most: int, top: int) -> None:
        """The top line is a round number, and so are its quarters."""
        html = days({("a", "20260301"): most}, title="t")

        assert labels(html)[:5] == [f"{top * quarter // 4:,}" for quarter in range(5)]


class TestTables:
    def test_bars(self) -> None:
        """The largest bar is as long as there is room for, and the others in proportion."""
        html = bars(["name", "bytes", "more"], [Bar("a", 200, ("<x>",)), Bar("b", 50, (7,), "#123456")])

        assert re.findall(r'style="(.*?)"', html) == ["width:100.0%", "width:25.0%;background:#123456"]
        assert "&lt;x&gt;" in html
        assert ElementTree.fromstring(html).tag == "table"

    def test_bars_of_nothing(self) -> None:
        assert 'style="width:0.0%"' in bars(["name", "count"], [Bar("a", 0)])
        assert "<tbody></tbody>" in bars(["name", "count"], [])

    def test_a_table(self) -> None:
        """Numbers have their own side, and a text that fits a line stays on it."""
        html = table(["a", "<b>"], [["x", 1_000], ["y" * 21, 2]])

        assert '<th scope="col" class="number">&lt;b&gt;</th>' in html
        assert '<td class="short">x</td><td class="number">1,000</td>' in html
        assert f"<td>{'y' * 21}</td>" in html

    def test_for_a_notebook(self) -> None:
        assert rendering("<p>x</p>").startswith('<div class="ocsflake"><style>')
