"""Security Lake's own tables over our classes: the queries that AWS publishes run as they stand, and find something."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import published_queries as published
import pytest
from lake_events import api_activity, events

import ocsflake
from ocsflake import samples
from ocsflake.errors import ConfigError
from ocsflake.lake import Lake, columns
from ocsflake.lake.native_tables import NATIVE_TABLES, native_name

LOG_TYPES = sorted({table.log_type for table in NATIVE_TABLES.values()})
DATABASE = "amazon_security_lake_glue_db_us_east_1"
TABLES = {name: f'"{DATABASE}"."{native_name("us-east-1", name)}"' for name in NATIVE_TABLES}
QUERIES = {
    f"{source}: {name}": sql
    for source, queries in (("1", published.SV1), ("2", published.SV2), ("bootstrap", published.BOOTSTRAP))
    for name, sql in queries.items()
}
FOUND = {
    "1: cve": 4,
    "1: cvss": 5,
    "1: denied calls": 5,
    "1: dns without an answer": 9,
    "1: duplicate findings": 13,
    "1: findings of buckets": 3,
    "1: iam": 13,
    "1: new findings": 12,
    "1: products": 10,
    "1: rejected": 9,
    "1: resource types": 14,
    "2: between two": 1,
    "2: cve": 4,
    "2: denied calls": 5,
    "2: dns without an answer": 9,
    "2: duplicate findings": 13,
    "2: eks_audit_2_0": 20,
    "2: https": 8,
    "2: inbound": 10,
    "2: lambda_execution_2_0": 1,
    "2: managed rules": 3,
    "2: observables": 168,
    "2: posts": 3,
    "2: s3_data_2_0": 2,
    "2: vulnerable packages": 7,
    "bootstrap: changes of iam": 10,
    "bootstrap: domains": 8,
    "bootstrap: from public addresses": 28,
    "bootstrap: instances by name": 16,
    "bootstrap: internal": 6,
    "bootstrap: large transfers": 2,
    "bootstrap: logins by activity": 10,
    "bootstrap: not internal": 23,
    "bootstrap: private and public": 20,
    "bootstrap: view, two products": 1,
    "bootstrap: what users did": 8,
}
"""How many rows some of them find in the samples, seen from the day after."""

SEED = f"""
SELECT finding.uid, MAX(time) AS time, ARBITRARY(region) AS region, ARBITRARY(accountid) AS accountid,
ARBITRARY(finding) AS finding, ARBITRARY(vulnerabilities) AS vulnerabilities
FROM {DATABASE}.amazon_security_lake_table_us_east_1_sh_findings_1_0
WHERE eventDay BETWEEN cast(date_format(current_timestamp - INTERVAL '7' day, '%Y%m%d%H') as varchar)
and cast(date_format(current_timestamp - INTERVAL '0' day, '%Y%m%d%H') as varchar) GROUP BY finding.uid LIMIT 25
"""


EVENTS = {
    "cloud_trail_mgmt": 35,
    "s3_data": 2,
    "lambda_execution": 1,
    "vpc_flow": 35,
    "route53": 23,
    "eks_audit": 20,
    "waf": 23,
    "sh_findings": 24,
}
"""How many events of the samples each table has."""

MOVED = {
    "cloud_trail_mgmt_1_0": {
        "actor.session.mfa": 17,
        "actor.user.account_uid": 31,
        "actor.user.uid": 31,
        "actor.user.uuid": 26,
        "mfa": 5,
        "resources[1].account_uid": 2,
        '"user".uid': 12,
        '"user".uuid': 11,
    },
    "vpc_flow_1_0": {"cloud.account_uid": 34},
    "route53_1_0": {"cloud.account_uid": 23},
    "waf_2_0": {"http_status": 12},
    "sh_findings_1_0": {
        "cloud.account_uid": 24,
        "confidence": 1,
        "finding.title": 24,
        "finding.remediation": 4,
        "finding.remediation.kb_articles": 4,
        "metadata.product.feature.name": 24,
        "metadata.product.version": 17,
        "resources[1].details": 9,
        "state": 24,
        "state_id": 24,
        "vulnerabilities[1].kb_articles": 2,
        "vulnerabilities[1].packages": 5,
    },
}
"""How many events of the samples have a value that has another name in our events."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A lake of the samples of AWS's own sources."""
    root = tmp_path_factory.mktemp("lake")
    lake = Lake(root / "lake")
    folders = [samples.files(log_type)[0].parent for log_type in LOG_TYPES]
    sources = [
        ocsflake.source("files", log_type=log_type, uri=str(folder))
        for log_type, folder in zip(LOG_TYPES, folders, strict=True)
    ]
    ocsflake.run(sources, lake, rejects=root / "rejects")
    return lake


def rows(lake, sql):
    return lake.query(sql.format_map(TABLES), dialect="athena").to_pylist()


@pytest.mark.parametrize("name", QUERIES)
def test_published_queries_run(lake, name):
    """Each runs with no change."""
    limit = re.search(r"LIMIT (\d+)", QUERIES[name])

    assert len(rows(lake, QUERIES[name])) <= int(limit[1] if limit else 1_000)


@pytest.mark.parametrize("name", FOUND)
def test_published_queries_find(lake, name):
    """With the clock set to the day after the samples, and without a limit, they find what is there."""
    sql = re.sub("current_timestamp", "TIMESTAMP '2026-11-18 12:00:00'", QUERIES[name], flags=re.IGNORECASE)

    assert len(rows(lake, re.sub(r" LIMIT 25$", "", sql))) == FOUND[name]


@pytest.mark.parametrize("name", NATIVE_TABLES)
def test_each_table_has_the_events_of_its_log(lake, name):
    """Whichever source version it is of; no answer of a resolver is an empty list."""
    [found] = rows(lake, f"SELECT count(*) AS n FROM {{{name}}}")

    assert found == {"n": EVENTS[name.rpartition("_")[0].rpartition("_")[0]]}
    if "answers" in NATIVE_TABLES[name].shapes():
        assert rows(lake, f"SELECT count(*) AS n FROM {{{name}}} WHERE answers IS NULL") == [{"n": 0}]


@pytest.mark.parametrize("name", MOVED)
def test_values_with_another_name_are_there(lake, name):
    counts = ", ".join(f"count({path}) AS n{place}" for place, path in enumerate(MOVED[name]))

    [found] = rows(lake, f"SELECT {counts} FROM {{{name}}}")

    assert list(found.values()) == list(MOVED[name].values())


def test_duplicate_findings_as_published(tmp_path):
    """AWS's own query, unchanged, finds the findings of Security Hub that the library mapped a moment ago."""
    findings = [json.loads(line) for line in samples.files("aws.securityhub")[0].read_text().splitlines()]
    [finding] = findings[0]["detail"]["findings"][:1]
    now = datetime.now(UTC)
    for place, age in enumerate((timedelta(0), timedelta(days=3), timedelta(days=30))):
        at = f"{now - age:%Y-%m-%dT%H:%M:%S.000Z}"
        again = finding | {"Id": f"finding/{place}", "UpdatedAt": at, "CreatedAt": at}
        (tmp_path / f"{place}.json").write_text(json.dumps({"Findings": [again, again]}))
    lake = Lake(tmp_path / "lake")
    ocsflake.run(ocsflake.source("files", log_type="aws.securityhub", uri=str(tmp_path / "*.json")), lake)

    found = lake.query(SEED, dialect="athena").to_pylist()

    assert sorted(row["uid"] for row in found) == ["finding/0", "finding/1"]
    assert {row["finding"]["title"] for row in found} == {finding["Title"]}
    assert {(row["region"], row["accountid"]) for row in found} == {("us-east-1", finding["AwsAccountId"])}


def test_they_answer_the_same_in_s3(lake, moto):
    """Where only the parts of columns are fetched that a statement reads, they are those that the table is made of."""
    target = Lake(f"s3://{moto.make_bucket()}", session=moto.session())
    lake.replicate(target)
    names = [name for name in FOUND if "findings" in name or "c" in name.split(": ")[1][:1]]
    shown = [*names, "1: rejected", "1: resource types", "2: s3_data_2_0", "2: observables", "bootstrap: one user"]

    for name in shown:
        sql = re.sub("current_timestamp", "TIMESTAMP '2026-11-18 12:00:00'", QUERIES[name], flags=re.IGNORECASE)
        sql = re.sub(r" LIMIT \d+", "", sql)
        here, there = ({json.dumps(row, default=str) for row in rows(each, sql)} for each in (lake, target))
        assert here == there, name
        assert here, name


class TestVersion1:
    """OCSF 1.0.0-rc.2."""

    def test_names_of_people(self, lake):
        """The id is called uuid, and what is uid today is another one."""
        found = rows(
            lake,
            "SELECT DISTINCT actor.user.uuid, actor.user.uid, actor.user.account_uid, actor.session.mfa"
            " FROM {cloud_trail_mgmt_1_0} WHERE actor.user.name = 'alice' AND actor.session.mfa",
        )

        assert found == [
            {
                "uuid": "arn:aws:iam::111122223333:user/alice",
                "uid": "AIDAEXAMPLEALICE00001",
                "account_uid": "111122223333",
                "mfa": True,
            }
        ]

    def test_numbers_of_classes(self, lake):
        """API Activity is 3005 of Audit Activity, and the version says why."""
        found = rows(
            lake,
            "SELECT DISTINCT class_uid, class_name, category_uid, category_name, type_uid - activity_id AS type,"
            " metadata.version FROM {cloud_trail_mgmt_1_0} ORDER BY class_uid",
        )

        assert [list(row.values()) for row in found] == [
            [3001, "Account Change", 3, "Audit Activity", 300100, "1.0.0-rc.2"],
            [3002, "Authentication", 3, "Audit Activity", 300200, "1.0.0-rc.2"],
            [3005, "API Activity", 3, "Audit Activity", 300500, "1.0.0-rc.2"],
        ]

    def test_findings_of_all_classes_are_security_findings(self, lake):
        """Vulnerability, compliance and detection findings are one class, with a list of resources each."""
        [found] = rows(
            lake,
            "SELECT count(*) AS n, count(resources) AS listed, array_agg(DISTINCT class_uid) AS classes,"
            " array_agg(DISTINCT metadata.product.name) AS products FROM {sh_findings_1_0}",
        )
        kinds = rows(
            lake,
            "SELECT DISTINCT class_name, category_uid, category_name, type_uid, type_name, metadata.version"
            " FROM {sh_findings_1_0} ORDER BY type_uid",
        )

        assert found == {"n": 24, "listed": 24, "classes": [2001], "products": ["Security Hub"]}
        named = ["Security Finding", 2, "Findings"]
        assert [list(row.values()) for row in kinds] == [
            [*named, 200101, "Security Finding: Create", "1.0.0-rc.2"],
            [*named, 200102, "Security Finding: Update", "1.0.0-rc.2"],
            [*named, 200103, "Security Finding: Close", "1.0.0-rc.2"],
        ]

    def test_what_moved_inside_a_finding(self, lake):
        """Remediation, score and state are where they were, and a struct that is not there is NULL."""
        [found] = rows(
            lake,
            "SELECT finding.remediation, state, vulnerabilities[1].cve.cvss.base_score AS score, compliance IS NULL AS"
            " none FROM {sh_findings_1_0} WHERE finding.uid LIKE '%a001' AND vulnerabilities[1].kb_articles IS NOT NULL"
            " LIMIT 1",
        )

        assert found == {"remediation": None, "state": "New", "score": 7.5, "none": True}


class TestVersion2:
    """OCSF 1.1.0."""

    @pytest.mark.parametrize("name", published.TABLES_2)
    def test_columns_are_those_of_the_table(self, lake, name):
        """A star shows the columns of the native table, and no other."""
        columns = lake.query(f"SELECT * FROM {TABLES[name]} LIMIT 1").schema.names

        assert sorted(columns) == sorted(NATIVE_TABLES[name].shapes())
        assert {"accountid", "region", "time_dt", "observables"} <= set(columns)
        assert "eventday" not in columns

    def test_events_of_data_are_tables_of_their_own(self, lake):
        """What is done to objects in S3 and to functions is not among management events, and neither are insights."""
        kinds = {
            name: rows(lake, f"SELECT DISTINCT metadata.product.feature.name AS kind FROM {{{name}_2_0}} ORDER BY 1")
            for name in ("cloud_trail_mgmt", "s3_data", "lambda_execution")
        }

        assert [row["kind"] for row in kinds["cloud_trail_mgmt"]] == ["Management", "Management, Data, and Insights"]
        assert kinds["s3_data"] == kinds["lambda_execution"] == [{"kind": "Data"}]

    def test_a_condition_on_time_leaves_days_out(self, lake):
        """`time_dt` is the partition of these tables: objects of other days are not opened, so they may be broken."""
        other = next(lake.root.glob("ext/aws_vpc_flow_4001/*/*/eventDay=20261116/*.parquet"))
        whole = other.read_bytes()
        other.write_bytes(b"broken")
        try:
            [found] = rows(lake, "SELECT count(*) AS n FROM {vpc_flow_2_0} WHERE time_dt >= TIMESTAMP '2026-11-17'")
            with pytest.raises(ocsflake.LakeError):
                rows(lake, "SELECT count(*) AS n FROM {vpc_flow_2_0} WHERE time_dt >= TIMESTAMP '2026-11-16'")
        finally:
            other.write_bytes(whole)

        [all_of_it] = rows(lake, "SELECT count(*) AS n FROM {vpc_flow_2_0}")
        assert 0 < found["n"] < all_of_it["n"]


def test_a_lake_with_one_source_a_class_has_them_too(tmp_path):
    """Events of other clouds in the same custom source are left out."""
    lake = Lake(tmp_path / "lake", naming="class")
    for log_type in ("aws.vpc_flow", "gcp.vpc_flow"):
        ocsflake.run(
            ocsflake.source("files", log_type=log_type, uri=str(samples.files(log_type)[0].parent)),
            lake,
            rejects=tmp_path / "rejects",
        )

    [found] = rows(lake, "SELECT count(*) AS n, array_agg(DISTINCT cloud.provider) AS clouds FROM {vpc_flow_2_0}")

    assert found == {"n": 35, "clouds": ["AWS"]}
    assert lake.query("SELECT count(*) AS n FROM network_activity").to_pylist() == [{"n": 60}]


def test_a_roll_up_lake_has_all_regions_in_the_tables_of_its_own(tmp_path):
    """The tables of the lake's Region have what was replicated to it; those of another have that Region's."""
    for region, count in (("us-east-1", 2), ("eu-west-1", 3)):
        with Lake(tmp_path, region=region).begin(region) as commit:
            commit.write(api_activity(events(count)))
            commit.publish()
    lake = Lake(tmp_path, region="eu-west-1")

    def counts(region, table):
        name = f"amazon_security_lake_glue_db_{region.replace('-', '_')}.{native_name(region, table)}"
        return lake.query(f"SELECT region, count(*) AS n FROM {name} GROUP BY 1 ORDER BY 1").to_pylist()

    both = [{"region": "eu-west-1", "n": 3}, {"region": "us-east-1", "n": 2}]
    for table in ("ext_aws_cloudtrail_6003", "cloud_trail_mgmt_2_0"):
        assert (counts("eu-west-1", table), counts("us-east-1", table)) == (both, both[1:])


def test_a_table_of_which_there_is_nothing(tmp_path):
    """The error names the log type that it would have."""
    lake = Lake(tmp_path)
    with lake.begin("c") as commit:
        commit.write(api_activity(events(1)))
        commit.publish()

    with pytest.raises(ConfigError, match=r"waf_2_0 does not exist; it has events of aws\.waf, and this lake has none"):
        lake.query(f"SELECT * FROM {TABLES['waf_2_0']}")


class TestNames:
    """What is called otherwise in a table than in our events."""

    def test_they_are_columns_here_and_attributes_there(self):
        """Each name is one of the table's own, and stands for an attribute of its classes."""
        tables = NATIVE_TABLES.values()
        here = {key for table in tables for key in table.renamed if columns.lookup(table.shapes(), key.split("."))}
        there = {
            other
            for table in tables
            for names in table.renamed.values()
            for other in names.split()
            if any(columns.ocsf_shape("1.5.0", each, tuple(other.split("."))) for each in table.classes)
        }

        assert {key for table in tables for key in table.renamed} == here
        assert {each for table in tables for names in table.renamed.values() for each in names.split()} == there

    @pytest.mark.parametrize(
        ("name", "path", "places"),
        [
            ("cloud_trail_mgmt_1_0", "actor.user.uuid", ["actor.user.uid"]),
            ("cloud_trail_mgmt_1_0", "actor.user.name", ["actor.user.name"]),
            ("cloud_trail_mgmt_2_0", "actor.user.uuid", ["actor.user.uuid"]),
            ("vpc_flow_1_0", "cloud.account_uid", ["cloud.account.uid"]),
            ("sh_findings_1_0", "finding.title", ["finding_info.title"]),
            ("sh_findings_1_0", "finding.remediation.desc", ["remediation.desc"]),
            ("sh_findings_1_0", "finding.remediation.kb_articles", ["remediation.references"]),
            ("sh_findings_1_0", "resources.uid", ["resources.uid", "resource.uid"]),
            ("sh_findings_1_0", "resources.details", ["resources.data", "resource.data"]),
        ],
    )
    def test_the_longest_name_counts(self, name, path, places):
        """What stands below it keeps its own; a value may be in several places."""
        found = NATIVE_TABLES[name].places(tuple(path.split(".")))

        assert [".".join(place) for place in found] == places

    def test_what_a_statement_reads_of_our_events(self):
        """Also of names below the one that it has, or with that of a table before it."""
        always = NATIVE_TABLES["sh_findings_1_0"].reads([])
        found = NATIVE_TABLES["sh_findings_1_0"].reads([("f", "finding"), ("state",)]) - always

        assert {".".join(path) for path in found} == {
            *("f.finding", "finding_info", "remediation", "remediation.references", "status"),
        }
        assert {".".join(path) for path in always} == {
            *("activity_id", "activity_name", "answers", "api.service", "metadata.product"),
        }

    @pytest.mark.parametrize(
        ("name", "event_class", "made"),
        [
            ("cloud_trail_mgmt_2_0", "api_activity", {}),
            ("route53_2_0", "dns_activity", {"answers": "coalesce(answers, [])"}),
            ("route53_1_0", "dns_activity", {"answers": "coalesce(answers, [])", "metadata.version": "'1.0.0-rc.2'"}),
            ("vpc_flow_1_0", "network_activity", {"metadata.version": "'1.0.0-rc.2'"}),
            (
                "s3_data_1_0",
                "api_activity",
                {
                    "metadata.version": "'1.0.0-rc.2'",
                    "category_uid": "3",
                    "category_name": "'Audit Activity'",
                    "class_uid": "3005",
                    "type_uid": "300500 + activity_id",
                },
            ),
            (
                "cloud_trail_mgmt_1_0",
                "authentication",
                {"metadata.version": "'1.0.0-rc.2'", "category_uid": "3", "category_name": "'Audit Activity'"},
            ),
            (
                "sh_findings_1_0",
                "detection_finding",
                {
                    "metadata.version": "'1.0.0-rc.2'",
                    "class_uid": "2001",
                    "class_name": "'Security Finding'",
                    "category_uid": "2",
                    "category_name": "'Findings'",
                    "type_uid": "200100 + activity_id",
                    "type_name": "'Security Finding: ' || activity_name",
                    "metadata.product.name": "'Security Hub'",
                },
            ),
        ],
    )
    def test_what_is_computed(self, name, event_class, made):
        """Numbers of classes of the table's version of OCSF; an empty list only where there are answers."""
        found = NATIVE_TABLES[name].made(event_class, {"answers": []})

        assert {".".join(path): sql for path, sql in found.items()} == made
        assert ("answers",) not in NATIVE_TABLES[name].made(event_class, {})

    def test_logs_and_custom_sources_that_they_are_made_of(self):
        """The source version ends the name; log types are those that are mapped."""
        assert {table.version for table in NATIVE_TABLES.values() if table.name.endswith("_1_0")} == {1}
        assert {table.version for table in NATIVE_TABLES.values() if table.name.endswith("_2_0")} == {2}
        assert {name.rpartition("_")[0][:-2]: table.stem for name, table in NATIVE_TABLES.items()} == {
            "cloud_trail_mgmt": "aws_cloudtrail",
            "s3_data": "aws_cloudtrail",
            "lambda_execution": "aws_cloudtrail",
            "vpc_flow": "aws_vpc_flow",
            "route53": "aws_route53_dns",
            "eks_audit": "aws_eks_audit",
            "waf": "aws_waf",
            "sh_findings": "aws_securityhub",
        }
        assert set(LOG_TYPES) <= set(samples.log_types())

    def test_which_events_of_all_clouds_they_hold(self):
        """Those of their product, whichever source version they are of; three of them by more than that."""
        products = {name.rpartition("_")[0][:-2]: table.only for name, table in NATIVE_TABLES.items()}
        trail, name = "= 'CloudTrail'", "struct_extract(struct_extract(metadata, 'product'), 'name')"

        assert products == {
            **dict.fromkeys(("cloud_trail_mgmt", "s3_data", "lambda_execution"), f"{name} {trail}"),
            "vpc_flow": f"{name} = 'Amazon VPC'",
            "route53": f"{name} = 'Route 53'",
            "eks_audit": f"{name} = 'Amazon EKS'",
            "waf": f"{name} = 'AWS WAF'",
            "sh_findings": f"{name.replace('name', 'uid')} LIKE 'arn:aws%:securityhub:%'",
        }
        assert {table.only for table in NATIVE_TABLES.values()} == set(products.values())
        some = {each.rpartition("_")[0][:-2] for each, table in NATIVE_TABLES.items() if table.where}
        assert some == {"cloud_trail_mgmt", "s3_data", "lambda_execution"}


def test_the_wrong_name_in_the_user_guide(lake):
    """Its one query of a table that does not exist is told which are near."""
    with pytest.raises(ConfigError, match=r"sh_findings_1_0_findings does not exist; did you mean '.*sh_findings_1_0'"):
        lake.query(f"SELECT time FROM {DATABASE}.amazon_security_lake_table_us_east_1_sh_findings_1_0_findings")
