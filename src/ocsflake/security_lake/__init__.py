"""The control plane of Amazon Security Lake: what is wanted, planned, applied; and the lake, as the service knows it.

`plan` asks and changes nothing; `apply` does what is left of a plan, and may be repeated after any failure.
"""

from __future__ import annotations

from ocsflake.security_lake.discovery import open_lake
from ocsflake.security_lake.names import aws_event_class, event_classes
from ocsflake.security_lake.planning import Plan, apply, plan
from ocsflake.security_lake.steps import Step
from ocsflake.security_lake.wanted import (
    CustomSources,
    DataLakes,
    ExceptionSubscription,
    LakeRegion,
    NewSource,
    Subscriber,
    custom_sources,
)

__all__ = [
    "CustomSources",
    "DataLakes",
    "ExceptionSubscription",
    "LakeRegion",
    "NewSource",
    "Plan",
    "Step",
    "Subscriber",
    "apply",
    "aws_event_class",
    "custom_sources",
    "event_classes",
    "open_lake",
    "plan",
]
