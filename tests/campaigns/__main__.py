"""The long campaigns: ``python tests/campaigns CAMPAIGN [--most N] [--seconds N] [--write]``.

CAMPAIGN is ``faults``, ``deliveries``, ``kills``, ``disks`` or ``soak``. A row of the table is printed as soon as it is
known; with ``--write`` the table of docs/reliability.md is made of them.
"""

from __future__ import annotations

import argparse
import functools
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
sys.path += [str(HERE.parent), str(HERE.parent / "sources")]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trials import Tally

_PAGE = HERE.parents[1] / "docs" / "reliability.md"


def _row(name: str, found: Tally) -> str:
    cells = (found.tried, found.sent, found.found, found.doubled, found.lost, found.noticed)
    return f"| {name} | {' | '.join(f'{cell:,}' for cell in cells)} |"


def _faults(most: int) -> Iterator[str]:
    from subjects import SUBJECTS
    from trials import Tally, faults

    total = Tally()
    for name, subject in SUBJECTS.items():
        with tempfile.TemporaryDirectory() as root:
            found = sum((each for _, each in faults(subject, Path(root), most)), Tally())
        total += found
        yield _row(f"`{name}`", found)
    yield _row("all", total)


def _deliveries(most: int) -> Iterator[str]:
    from subjects import SUBJECTS
    from trials import Tally, deliveries

    for name, subject in SUBJECTS.items():
        with tempfile.TemporaryDirectory() as root:
            yield _row(f"`{name}`", sum(deliveries(subject, Path(root), most), Tally()))


def _kills(most: int) -> Iterator[str]:
    from kills import KILLED, kills
    from subjects import SUBJECTS
    from trials import Tally

    for name in KILLED:
        for how in (signal.SIGKILL, signal.SIGTERM):
            with tempfile.TemporaryDirectory() as root:
                ended, found, longest = 0, Tally(), 0.0
                for count, one, took in kills(SUBJECTS[name], Path(root), how, most):
                    ended, found, longest = ended + count, found + one, max(longest, took)
            cells = (ended, found.sent, found.found, found.doubled, found.lost)
            yield f"| `{name}`, {how.name} | {' | '.join(f'{cell:,}' for cell in cells)} | {longest:.1f} s |"


def _disks(most: int) -> Iterator[str]:
    from disks import disks
    from trials import summed

    with tempfile.TemporaryDirectory() as root:
        yield from (_row(name, found) for name, found in summed(disks(Path(root), most)).items())


def _soak(seconds: float, messages: int) -> Iterator[str]:
    from soak import soak

    with tempfile.TemporaryDirectory() as root:
        tell = functools.partial(print, file=sys.stderr, flush=True)
        found = soak(seconds, Path(root), messages=messages, tell=tell)
    sent = found.sent
    half, most, last = found.lags
    early, late = (size / (1 << 20) for size in found.resident)
    yield f"| seconds, events sent, a second | {seconds:,.0f}, {sent.events:,}, {sent.events / seconds:,.0f} |"
    yield f"| faults; records that came twice | {sent.faults:,}; {sent.again:,} |"
    yield f"| events found, doubled, lost | {found.found:,}, {found.doubled}, {found.lost} |"
    yield f"| rejects sent, kept | {sent.rejects:,}, {found.rejects:,} |"
    yield f"| lag of half of the events, of 99 %, of the last | {half:.1f} s, {most:.1f} s, {last:.1f} s |"
    yield f"| memory, second and last fifth of the time | {early:.0f} MB, {late:.0f} MB |"
    yield f"| open files, likewise | {found.open[0]:.0f}, {found.open[1]:.0f} |"
    yield f"| from SIGTERM to the end | {found.to_stop:.1f} s |"


def _write(name: str, rows: Iterable[str]) -> None:
    """Put rows in place of those of a table, which stands between two comments of the page."""
    text = _PAGE.read_text()
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = text.partition(begin)
    table, _, after = rest.partition(end)
    head = table.splitlines()[:2]
    _PAGE.write_text(f"{before}{begin}{chr(10).join([*head, *rows])}\n{end}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tests/campaigns")
    parser.add_argument("campaign", choices=["faults", "deliveries", "kills", "disks", "soak"])
    parser.add_argument("--most", type=int, default=12, help="places that each way to fail is tried in, or trials")
    parser.add_argument("--seconds", type=float, default=3600.0, help="how long a soak goes on")
    parser.add_argument("--messages", type=int, default=250, help="of Pub/Sub, a second of a soak")
    parser.add_argument("--write", action="store_true", help="write the table of docs/reliability.md")
    asked = parser.parse_args()
    campaigns = {"faults": _faults, "deliveries": _deliveries, "kills": _kills, "disks": _disks}
    rows = []
    for row in (
        _soak(asked.seconds, asked.messages) if asked.campaign == "soak" else campaigns[asked.campaign](asked.most)
    ):
        print(row, flush=True)
        rows.append(row)
    if asked.write:
        _write(asked.campaign, rows)


if __name__ == "__main__":
    main()
