"""Kubernetes audit logs to API Activity 6003.

Events of ``audit.k8s.io/v1`` as an API server writes them to a file (JSON lines) or sends them to a webhook
(``{"kind": "EventList", "items": []}``). All stages of a request are kept.

The fields: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from __future__ import annotations

from ocsflake.mappers.kubernetes._event import event_fields, event_unmapped
from ocsflake.mapping import EventMap, Fields, JsonRecords, Mapper

FIELDS: Fields = event_fields() | {
    "metadata.product.name": "Kubernetes",
    "metadata.product.vendor_name": "Kubernetes",
    "metadata.product.feature.name": "Audit",
}

MAPPER = Mapper(
    "kubernetes.audit",
    title="Kubernetes audit logs",
    source_name="kubernetes",
    parse=JsonRecords(unwrap=("items",)),
    events=[EventMap("api_activity", fields=FIELDS)],
    unmapped=event_unmapped(),
)
