"""Writes the templates of the SAM app as JSON, transformed by the SAM translator as AWS does it at deployment.

    transform.py template.yaml ...

A transformed template has only resources of CloudFormation, which the tests compare with those of the construct. Nothing here
speaks to AWS. Needs aws-sam-translator (infra/requirements.txt).
"""

import json
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.parser.parser import Parser  # noqa: E402  it looks for a Region when it is imported
from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402


class NoManagedPolicies:
    """The template names none; the translator asks all the same."""

    def load(self):
        return {}


def read(path):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    if "Transform" not in template:
        return template
    # The translator takes code that is in S3 already. What it is does not matter here.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    return transform(template, {}, NoManagedPolicies(), passthrough_metadata=False)


json.dump({path: read(path) for path in sys.argv[1:]}, sys.stdout)
