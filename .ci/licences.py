"""Check the licence of every distribution that ocsflake and its extras bring along; 1 if one may not be shipped with.

Run it where they are installed: ``python .ci/licences.py``. What only developers need (the extra ``dev``) is left out.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata

from packaging.requirements import Requirement

EXTRAS = ("aws", "azure", "gcp", "query", "opensearch", "splunk", "spark", "otel", "fast", "notebook")

FREE = re.compile(
    r"apache|\bmit\b|\bbsd\b|\bisc\b|mozilla|mpl[- ]2|python software|\bpsf|unlicense|zlib|0bsd|public domain|cc0|hpnd",
    re.IGNORECASE,
)
NOT_FREE = re.compile(r"\b[al]?gpl|general public|proprietary|commercial|sspl|business source", re.IGNORECASE)


def needed() -> list[metadata.Distribution]:
    """Return ocsflake's requirements and theirs, as far as they are installed, by name."""
    found: dict[str, metadata.Distribution] = {}
    pending = [("ocsflake", frozenset(EXTRAS))]
    while pending:
        name, extras = pending.pop()
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            marker, key = requirement.marker, requirement.name.lower().replace("_", "-")
            wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, ""))
            if key in found or key == "ocsflake" or not wanted:
                continue
            try:
                found[key] = metadata.distribution(key)
            except metadata.PackageNotFoundError:
                print(f"{key}: is not installed, and so was not looked at")
                continue
            pending.append((key, frozenset(requirement.extras)))
    return [found[key] for key in sorted(found)]


def licence(distribution: metadata.Distribution) -> str:
    """Return what a distribution says of its licence, in one line."""
    about = distribution.metadata
    classifiers = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or () if "License ::" in line]
    words = [about.get("License-Expression") or "", *classifiers, (about.get("License") or "").strip()[:80]]
    return next((" ".join(word.split()) for word in words if word), "")


def main() -> int:
    """Print a line for each distribution; 1 if a licence is unknown, or asks of users what Apache-2.0 does not."""
    wrong = 0
    for distribution in needed():
        said = licence(distribution)
        good = bool(FREE.search(said)) and not NOT_FREE.search(said)
        wrong += not good
        print(
            f"{'  ' if good else '! '}{distribution.metadata['Name']} {distribution.version}: {said or 'says nothing'}"
        )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
