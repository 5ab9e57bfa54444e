"""The page on Security Lake: its Python runs, from the first block to the last."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from attrs import evolve

from ocsflake import samples

PAGE = Path(__file__).parents[2] / "docs" / "security-lake.md"


def test_the_python_of_the_page(api, moto, tmp_path):
    """Custom sources are registered and written to, Regions roll up, a subscriber and a stand-in are made."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    shutil.copytree(samples.files("aws.cloudtrail")[0].parent, tmp_path / "logs")
    bucket = evolve(moto, region="eu-west-1").make_bucket()
    api.enable("eu-west-1", bucket)
    api.sources["eu-central-1"] = {
        "SH_FINDINGS": {"resource": {"sourceName": "SH_FINDINGS"}, "eventClasses": []},
        "aws_cloudtrail_6003": {
            "resource": {
                "sourceName": "aws_cloudtrail_6003",
                "provider": {"location": "s3://b/ext/a/", "roleArn": "r"},
            },
            "eventClasses": ["API_ACTIVITY"],
            "crawler": "r",
        },
    }
    environment = {
        "AWS_ENDPOINT_URL": api.url,
        "AWS_ENDPOINT_URL_S3": moto.url,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert len(blocks) == 5
    assert "register aws_cloudtrail_6003 for API_ACTIVITY" in done.stdout
    assert moto.client().list_objects_v2(Bucket=bucket)["KeyCount"] > 0
    assert api.lakes["eu-west-1"]["replicationConfiguration"]["regions"] == ["eu-central-1"]
    [subscriber] = api.subscribers["eu-central-1"].values()
    assert subscriber["subscriberName"] == "soc"
