"""What a report says."""

from __future__ import annotations

import pyarrow as pa

from ocsflake.ocsf import Finding
from ocsflake.ocsf.report import make_report


def finding(rule: str, attribute: str, level: str, rows: list[int], detail: str = "why") -> Finding:
    return Finding(rule, attribute, level, pa.array(rows, pa.int64()), detail)


def test_findings_of_one_rule_and_attribute_become_one() -> None:
    report = make_report(5, [finding("r", "b", "error", [3, 4]), finding("r", "b", "error", [0, 3])])

    (only,) = report.findings
    assert only.rows.to_pylist() == [0, 3, 4]


def test_errors_come_first_and_empty_findings_go() -> None:
    report = make_report(
        3, [finding("w", "a", "warning", [0]), finding("e", "b", "error", [1]), finding("e", "a", "error", [])]
    )

    assert [(f.level, f.attribute) for f in report.findings] == [("error", "b"), ("warning", "a")]


def test_only_errors_make_an_event_invalid() -> None:
    report = make_report(3, [finding("w", "a", "warning", [0]), finding("e", "b", "error", [1])])

    assert report.valid.to_pylist() == [True, False, True]
    assert report.invalid == 1


def test_counts_are_by_attribute_and_rule() -> None:
    report = make_report(
        3, [finding("r", "a", "warning", [0]), finding("r", "a", "error", [1, 2]), finding("s", "a", "error", [1])]
    )

    assert report.counts() == {("a", "r"): 3, ("a", "s"): 1}


def test_prints_totals_and_findings() -> None:
    report = make_report(3, [finding("e", "b", "error", [1, 2]), finding("e", "", "error", [0])])

    assert str(report).splitlines() == [
        "3 events, 3 invalid",
        "  error e at the event in 1 events (first: 0): why",
        "  error e at b in 2 events (first: 1): why",
    ]


def test_prints_no_more_than_thirty_findings() -> None:
    report = make_report(1, [finding("e", f"{number:02}", "error", [0]) for number in range(33)])

    lines = str(report).splitlines()
    assert len(lines) == 32
    assert lines[-1] == "  and 3 more findings"


def test_renders_as_html_with_what_comes_from_logs_escaped() -> None:
    report = make_report(1, [finding("e", "<b>", "error", [0], "<script>")])

    assert "&lt;b&gt;" in report._repr_html_()
    assert "<script>" not in report._repr_html_()
    assert make_report(2, [])._repr_html_() == "<p>2 events, 0 invalid</p>"
