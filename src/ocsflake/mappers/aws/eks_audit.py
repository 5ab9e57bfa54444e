"""Amazon EKS audit logs to API Activity 6003.

Kubernetes audit events (``kube-apiserver-audit``) from CloudWatch Logs: as JSON lines, or in subscription envelopes.
All stages of a request are kept. Only the log group names the cluster.

The account is that of the caller's ARN or IAM identity, else that of the log's origin: service accounts have neither.

The fields: https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html and
https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from __future__ import annotations

from ocsflake.mappers._pairs import first
from ocsflake.mappers.aws._arn import account_of
from ocsflake.mappers.kubernetes._event import event_fields, event_unmapped
from ocsflake.mapping import EventMap, Expr, Fields, JsonRecords, Mapper, apply, at, origin


def extra(name: str) -> Expr:
    """Return the first value of what the IAM authenticator says of a user."""
    spelt = f'user.extra."sigs.k8s.io/aws-iam-authenticator/{name}"[]'
    return apply(first, at(f"user.extra.{name}[]", spelt))


FIELDS: Fields = event_fields() | {
    "metadata.product.name": "Amazon EKS",
    "metadata.product.vendor_name": "AWS",
    "metadata.product.feature.name": "Elastic Kubernetes Service",
    "cloud.provider": "AWS",
    "cloud.account.uid": account_of(extra("arn")).or_(
        at("user.uid").extract(r"^aws-iam-authenticator:([0-9]{12}):"), origin("account")
    ),
    "cloud.region": origin("region"),
    "actor.user.uid_alt": extra("principalId"),
    "actor.session.uid": extra("sessionName"),
    "actor.session.uid_alt": extra("arn"),
    "actor.session.issuer": extra("canonicalArn"),
    "actor.session.credential_uid": extra("accessKeyId"),
}

MAPPER = Mapper(
    "aws.eks_audit",
    title="Amazon EKS audit logs",
    source_name="aws_eks_audit",
    parse=JsonRecords(unwrap=("items",)),
    events=[EventMap("api_activity", fields=FIELDS)],
    unmapped=event_unmapped(),
)
