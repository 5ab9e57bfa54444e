"""Athena's SQL in DuckDB: the functions that have other names, and addresses as a type."""

from __future__ import annotations

import ipaddress
import random

import duckdb
import pytest

from ocsflake.errors import ConfigError
from ocsflake.lake.dialect import MACROS, from_athena


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"SET TimeZone = 'UTC'; {MACROS}")
        yield connection


def value(connection, sql):
    [row] = connection.sql(from_athena(f"SELECT {sql} AS v")).to_arrow_table().to_pylist()
    return row["v"]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("any_match(ARRAY[1, 2], x -> x = 2)", True),
        ("any_match(ARRAY[1], x -> x = 2)", False),
        ("any_match(CAST(NULL AS ARRAY(INTEGER)), x -> x = 2)", None),
        ("all_match(ARRAY[1, 2], x -> x > 0)", True),
        ("all_match(ARRAY[1, 2], x -> x > 1)", False),
        ("none_match(ARRAY[1, 2], x -> x > 2)", True),
        ("none_match(ARRAY[1, 2], x -> x > 1)", False),
        ("any_match(transform(ARRAY['ab'], x -> x || 'c'), y -> y LIKE '%bc')", True),
        ("cardinality(filter(ARRAY[1, 2, 3], x -> x > 1))", 2),
        ("contains(ARRAY['a', 'b'], 'b')", True),
        ("element_at(split('a.b.c', '.'), -2)", "b"),
        ("element_at(ARRAY[1], 3)", None),
        ("element_at(MAP(ARRAY['k'], ARRAY['v']), 'k')", "v"),
        ("reduce(ARRAY[1, 2], 0, (s, x) -> s + x, s -> s)", 3),
        ("date_format(from_unixtime(1700000000), '%Y%m%d%H')", "2023111422"),
        ("date_format(date_add('day', -1, TIMESTAMP '2026-11-17 00:00:00'), '%Y%m%d')", "20261116"),
        ("date_format(TIMESTAMP '2026-11-17 00:00:00' - INTERVAL '7' DAY, '%Y%m%d')", "20261110"),
        ("date_diff('day', DATE '2026-11-16', DATE '2026-11-18')", 2),
        ('json_extract_scalar(\'{"a": {"b": "c"}}\', \'$.a.b\')', "c"),
        ("regexp_like('GetObject', '^Get')", True),
        ("split_part('198.51.100.7', '.', 2)", "51"),
        ("try_cast('x' AS integer)", None),
        ("if(1 = 1, 'a', 'b')", "a"),
    ],
)
def test_functions(connection, sql, expected):
    """They give what Athena gives."""
    assert value(connection, sql) == expected


@pytest.mark.parametrize(
    ("network", "address", "expected"),
    [
        ("10.0.0.0/8", "10.255.255.255", True),
        ("10.0.0.0/8", "11.0.0.0", False),
        ("192.0.2.7/32", "192.0.2.7", True),
        ("0.0.0.0/0", "203.0.113.1", True),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "2001:db8::1", False),
        ("172.16.0.0/12", "-", None),
        ("172.16.0.0/12", "", None),
    ],
)
def test_addresses_in_networks(connection, network, address, expected):
    """Both versions are compared as Athena does; what is no address is in no network, and not outside either."""
    assert value(connection, f"contains('{network}', CAST('{address}' AS IPADDRESS))") is expected
    assert value(connection, f"NOT contains('{network}', (cast('{address}' as ipaddress)))") is (
        None if expected is None else not expected
    )


def test_addresses_are_the_numbers_of_their_bytes(connection):
    """Any text is read as Python reads it, or not at all."""
    rng = random.Random(7)
    texts = ["::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "x", ""]
    texts += ["::ffff:192.0.2.1", "64:ff9b::192.0.2.33", "256.1.1.1", "1.2.3", "1.2.3.4.5", "::1.2.3.400", "0.0.0.0"]
    texts += [str(ipaddress.IPv4Address(rng.getrandbits(32))) for _ in range(30)]
    texts += [str(ipaddress.IPv6Address(rng.getrandbits(128) >> rng.choice((0, 40, 100)))) for _ in range(60)]
    texts += [str(ipaddress.IPv6Address(rng.getrandbits(16) << rng.randrange(112))) for _ in range(60)]

    for text in texts:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            expected = None
        else:
            expected = str(int(address) + (0xFFFF << 32 if address.version == 4 else 0))
        assert value(connection, f"CAST(CAST('{text}' AS IPADDRESS) AS VARCHAR)") == expected, text


def test_addresses_are_in_order(connection):
    """They compare by their bytes, and not as text."""
    assert value(connection, "IPADDRESS '9.0.0.1' < CAST('10.0.0.1' AS IPADDRESS)") is True


@pytest.mark.parametrize("network", ["'10.0.0.0/33'", "'somewhere'", "cidr", '"10.0.0.0/8"'])
def test_a_network_that_is_none(network):
    """It is told, as are networks that are no literals."""
    with pytest.raises(ConfigError, match=r"give the network as text such as '10\.0\.0\.0/8'"):
        from_athena(f"SELECT contains({network}, CAST(ip AS IPADDRESS)) FROM t")


def test_what_is_no_sql():
    """The translator's own message is shown."""
    with pytest.raises(ConfigError, match="Athena's dialect: "):
        from_athena("SELECT FROM WHERE (")
