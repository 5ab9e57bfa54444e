"""The report page, looked at through a browser, as a person would."""

from __future__ import annotations

import base64
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from report_lake import HOSTILE, report_lake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

COLOURS = """async url => {
    const image = new Image(); image.src = url; await image.decode();
    const canvas = document.createElement('canvas'); canvas.width = image.width; canvas.height = image.height;
    const context = canvas.getContext('2d'); context.drawImage(image, 0, 0);
    const data = context.getImageData(0, 0, image.width, image.height).data;
    const counts = {};
    for (let i = 0; i < data.length; i += 4) {
        const colour = `${data[i]},${data[i+1]},${data[i+2]}`;
        counts[colour] = (counts[colour] || 0) + 1;
    }
    return counts;
}"""
"""How often each colour is in a picture."""

CONTRASTS = """() => {
    const parse = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
    const ground = element => {
        for (let each = element; each; each = each.parentElement) {
            const colour = parse(getComputedStyle(each).backgroundColor);
            if (colour.length < 4 || colour[3] > 0) return colour;
        }
    };
    return [...document.querySelectorAll('h1, h2, p, a:not(.skip), dt, dd, th, td.number, td.short, footer, summary')]
        .filter(element => element.innerText.trim()).map(element => {
            const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))].sort().reverse();
            const large = parseFloat(getComputedStyle(element).fontSize) >= 19;
            return [(a + .05) / (b + .05) / (large ? 3 : 4.5), element.innerText];
        });
}"""
"""By how much the contrast of each text is better than WCAG 1.4.3 asks."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no browser is installed: this takes one of {', '.join(PROGRAMS)}")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    file = folder / "report.html"
    file.write_text(report_lake(folder / "lake").report().html)
    return file


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Any, path: Path, scheme: str) -> Iterator[Any]:
    """The page as it is shown; what goes wrong meanwhile is in its ``trouble``."""
    page = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    page.trouble = []
    page.on("console", lambda message: page.trouble.append(message.text))
    page.on("pageerror", lambda error: page.trouble.append(str(error)))
    page.on("dialog", lambda dialog: page.trouble.append(dialog.message))
    page.on("request", lambda request: page.trouble.append(request.url) if request.url != path.as_uri() else None)
    page.goto(path.as_uri())
    yield page
    page.close()


def test_nothing_goes_wrong(page: Any) -> None:
    """No error, no request, no script; what an attacker wrote is text."""
    assert page.trouble == []
    assert page.locator("script").count() == 0
    assert page.locator("img").count() == 0
    assert page.title().startswith("Security lake ")
    assert page.locator("#identities tbody th").nth(1).inner_text() == HOSTILE


def test_it_is_not_blank(page: Any, browser: Any, scheme: str) -> None:
    """The screenshot has the ground of its scheme, and the colours of the charts."""
    shot = base64.b64encode(page.screenshot(full_page=True)).decode()
    other = browser.new_page()
    counts = other.evaluate(COLOURS, f"data:image/png;base64,{shot}")
    other.close()
    most = max(counts, key=lambda colour: counts[colour])

    assert len(counts) > 50
    assert most == {"light": "246,247,249", "dark": "29,33,41"}[scheme]
    for colour in ("68,119,170", "209,73,91", "34,136,51"):
        assert counts[colour] > 200


def test_every_chart_is_drawn(page: Any) -> None:
    """Each bar has a size, lies within its chart, and has a colour."""
    charts = page.get_by_role("img")

    assert [chart.get_attribute("aria-label") for chart in charts.all()] == [
        "Events by day, stacked by class",
        "Events by day, stacked by cloud",
    ]
    for chart in charts.all():
        frame, bars = chart.bounding_box(), [bar.bounding_box() for bar in chart.locator("rect").all()]
        assert len(bars) == 7
        assert all(bar["width"] > 5 and bar["height"] > 5 for bar in bars)
        assert all(frame["y"] <= bar["y"] and bar["y"] + bar["height"] <= frame["y"] + frame["height"] for bar in bars)
    for name, rows in [("events-by-class", 3), ("usage-by-source", 3), ("usage-by-account", 3), ("findings", 4)]:
        bars = [
            bar.bounding_box() for bar in page.locator(f"#{name} > table td.bar span, #{name} .wide td.bar span").all()
        ]
        assert len(bars) == rows
        assert all(bar["width"] >= 2 and bar["height"] > 5 for bar in bars)
    assert page.locator("#rejects tbody tr").count() == 2
    assert page.locator("#drift tbody tr").count() == 2
    assert page.locator("#identities tbody tr").count() == 4


def test_longer_bars_stand_for_more(page: Any) -> None:
    widths = [bar.bounding_box()["width"] for bar in page.locator("#identities td.bar span").all()]

    assert widths[0] == pytest.approx(4 * widths[1], rel=0.05)


def test_it_can_be_read(page: Any) -> None:
    """Every text has the contrast that WCAG asks for."""
    poor = [text for ratio, text in page.evaluate(CONTRASTS) if ratio < 1]

    assert poor == []
    assert len(page.evaluate(CONTRASTS)) > 80


def test_it_can_be_heard(page: Any) -> None:
    """A screen reader finds a heading for each section, tables with names of columns, and numbers with theirs."""
    headings = [heading.inner_text() for heading in page.get_by_role("heading", level=2).all()]
    regions = [region.get_attribute("id") for region in page.locator("section").all()]

    assert headings[0] == "Events by day and class"
    assert len(headings) == len(regions) == page.get_by_role("link").count() - 1
    assert page.get_by_role("region", name="Top identities").count() == 1
    assert page.get_by_role("row", name="alice 4 2 AWS, Azure 2026-03-02 00:00").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("dt", has_text="serious findings").locator("xpath=following-sibling::dd").inner_text() == "1"


def test_it_can_be_used_without_a_mouse(page: Any) -> None:
    """The first key leads past the links, what is folded opens, and what has focus is seen."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "To the report"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")

    assert page.locator("details[open] table").is_visible()


def test_on_a_telephone(page: Any) -> None:
    """Nothing is wider than the screen; what must be scrolls by itself, and can be reached by key."""
    page.set_viewport_size({"width": 360, "height": 800})

    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("[...document.querySelectorAll('.wide')].every(each => each.tabIndex === 0)")
