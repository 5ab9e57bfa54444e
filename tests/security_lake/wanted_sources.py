"""Custom sources that the tests want."""

from __future__ import annotations

from typing import Any

from ocsflake.security_lake import custom_sources

CRAWLER = "arn:aws:iam::111111111111:role/Crawler"
PROVIDER = "222222222222"
EXTERNAL_ID = "some-id"


def wanted_sources(*of: Any, **changes: Any) -> Any:
    settings = {
        "regions": ["eu-west-1"],
        "provider": PROVIDER,
        "external_id": EXTERNAL_ID,
        "crawler_role_arn": CRAWLER,
        "naming": "class" if all(isinstance(item, str) for item in of) else "log_type",
    }
    return custom_sources(of, **(settings | changes))
