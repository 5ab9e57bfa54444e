"""What other programs get of a lake: OpenSearch, Splunk, data frames.

::

    from ocsflake.consumers import OpenSearch, forward

    forwarded = forward(lake.subscribe(queue_url), OpenSearch(client))
"""

from __future__ import annotations

from ocsflake.consumers.forward import Destination, Document, Forwarded, Refusal, forward
from ocsflake.consumers.frames import flat, write_ipc
from ocsflake.consumers.opensearch import OpenSearch
from ocsflake.consumers.splunk import Splunk

__all__ = ["Destination", "Document", "Forwarded", "OpenSearch", "Refusal", "Splunk", "flat", "forward", "write_ipc"]
