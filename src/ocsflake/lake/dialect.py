"""Athena's SQL as DuckDB's: what sqlglot translates, and the functions that DuckDB has no name for.

Athena knows IP addresses as a type, which DuckDB does only with an extension that it would download. Here an address is
the number that its 16 bytes make, an IPv4 address in its IPv6 form (``::ffff:192.0.2.1``), so that addresses compare as
in Athena; text that is no address is NULL, where Athena fails.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from ocsflake.errors import ConfigError

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["MACROS", "from_athena"]

MACROS = r"""
CREATE MACRO ocsflake_ipv4(t) AS CASE WHEN regexp_full_match(t, '\d{1,3}(\.\d{1,3}){3}') THEN
    TRY(281470681743360::UHUGEINT + list_reduce(
        list_transform(string_split(t, '.'), lambda part: part::UTINYINT::UHUGEINT), lambda a, b: a * 256 + b)) END;
CREATE MACRO ocsflake_groups(t) AS
    list_filter(string_split(t, ':'), lambda part: part <> '');
CREATE MACRO ocsflake_hex(t) AS CASE WHEN t LIKE '%.%'
    THEN regexp_replace(t, '[^:]*$', '') || format('{:x}:{:x}',
        ((ocsflake_ipv4(regexp_extract(t, '[^:]*$')) - 281470681743360) // 65536)::BIGINT,
        ((ocsflake_ipv4(regexp_extract(t, '[^:]*$')) - 281470681743360) % 65536)::BIGINT)
    ELSE t END;
CREATE MACRO ocsflake_filled(t) AS
    ocsflake_groups(split_part(t, '::', 1))
    || list_resize([]::VARCHAR[], CASE WHEN contains(t, '::')
        THEN 8 - len(ocsflake_groups(split_part(t, '::', 1))) - len(ocsflake_groups(split_part(t, '::', 2)))
        ELSE 0 END, '0')
    || ocsflake_groups(split_part(t, '::', 2));
CREATE MACRO ocsflake_ipv6(t) AS
    CASE WHEN regexp_full_match(t, '[0-9a-fA-F:]{2,39}') AND NOT t LIKE '%::%::%' AND TRY(len(ocsflake_filled(t))) = 8
    THEN TRY(list_reduce(
        list_transform(ocsflake_filled(t), lambda part: ('0x' || part)::USMALLINT::UHUGEINT),
        lambda a, b: a * 65536 + b)) END;
CREATE MACRO ocsflake_ip(t) AS CASE WHEN t LIKE '%:%' THEN ocsflake_ipv6(ocsflake_hex(t)) ELSE ocsflake_ipv4(t) END;
"""
"""What a translated statement may call."""

_MAPPED = 0xFFFF << 32
"""Where the addresses of IPv4 are among those of IPv6."""


def from_athena(sql: str) -> str:
    """Return a statement of Athena's, or several, for DuckDB.

    Raises:
        ConfigError: If it is not Athena's SQL, or has a network that is no literal.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        statements = sqlglot.parse(sql, read="athena")
        return ";\n".join(each.transform(_translated).sql("duckdb") for each in statements if each is not None)
    except SqlglotError as error:
        raise ConfigError(f"Athena's dialect: {error}") from error
    except RecursionError as error:
        raise ConfigError("Athena's dialect: the statement is nested too deeply; give many values with IN") from error


def _translated(node: exp.Expr) -> exp.Expr:
    """Return what stands for a node of Athena's syntax tree in DuckDB's."""
    from sqlglot import exp

    if isinstance(node, exp.Anonymous) and node.name.lower() in {"any_match", "all_match", "none_match"}:
        return _matches(node)
    if isinstance(node, exp.ArrayContains) and _is_address(node.expression):
        return _inside(node)
    if isinstance(node, exp.Cast) and _is_address(node):
        return exp.Anonymous(this="ocsflake_ip", expressions=[node.this])
    return node


def _matches(node: exp.Anonymous) -> exp.Expr:
    """Return a comparison of how many elements of a list match with 0, or with how many there are."""
    from sqlglot import exp

    values, condition = node.expressions
    count: exp.Expr = exp.ArraySize(this=exp.ArrayFilter(this=values, expression=condition))
    if node.name.lower() == "any_match":
        return exp.Paren(this=exp.GT(this=count, expression=exp.Literal.number(0)))
    wanted = exp.Literal.number(0) if node.name.lower() == "none_match" else exp.ArraySize(this=values.copy())
    return exp.Paren(this=exp.EQ(this=count, expression=wanted))


def _is_address(node: exp.Expr) -> bool:
    from sqlglot import exp

    node = node.unnest()
    return isinstance(node, exp.Cast) and node.to.this == exp.DataType.Type.IPADDRESS


def _inside(node: exp.ArrayContains) -> exp.Expr:
    """Return a comparison of an address with the first and the last one of a network."""
    from sqlglot import exp

    text = node.this.unnest()
    try:
        network = ipaddress.ip_network(text.name if text.is_string else "", strict=False)
    except ValueError:
        raise ConfigError(
            f"Athena's dialect: {node.sql('athena')}: give the network as text such as '10.0.0.0/8'"
        ) from None
    before = _MAPPED if network.version == 4 else 0
    low, high = (before + int(address) for address in (network[0], network[-1]))
    return exp.Paren(
        this=exp.Between(
            this=exp.Anonymous(this="ocsflake_ip", expressions=[node.expression.unnest().this]),
            low=exp.Literal.number(low),
            high=exp.Literal.number(high),
        )
    )
