"""template.yaml as ministack can take it: a copy in which every change stands below, with its reason."""

import io
import json
import zipfile

import yaml

FUNCTIONS = {name: f"{name.capitalize()}Function"
             for name in ("collect", "launch", "settle", "notify", "enroll", "backfill")}


def read(path):
    """A template as plain data: the short forms of the functions become the long ones."""

    class Loader(yaml.SafeLoader):
        pass

    def short_form(loader, tag, node):
        if isinstance(node, yaml.ScalarNode):
            value = loader.construct_scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            value = loader.construct_sequence(node, deep=True)
        else:
            value = loader.construct_mapping(node, deep=True)
        if tag == "GetAtt" and isinstance(value, str):
            value = value.split(".", 1)
        return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}

    Loader.add_multi_constructor("!", short_form)
    return yaml.load(path.read_text(), Loader)


def copy(template, code, endpoints, source, enforced):
    """The copy as text. `code` is where each function's zip is, in ministack's S3; `source` is what S3's events are told by."""
    # The functions speak to ministack, and to `resilver local` for S3 and S3 Control.
    template["Globals"]["Function"]["Environment"]["Variables"] |= endpoints
    # `sam package` would do this.
    del template["Globals"]["Function"]["CodeUri"]
    for name, logical in FUNCTIONS.items():
        template["Resources"][logical]["Properties"]["CodeUri"] = code[name]
    # See Relay in servers.py.
    for resource in template["Resources"].values():
        for event in resource["Properties"].get("Events", {}).values():
            pattern = event["Properties"].get("Pattern", {})
            if pattern.get("source") == ["aws.s3"]:
                pattern["source"] = [source]
    # The chat of this test has no certificate.
    del template["Parameters"]["WebhookUrl"]["AllowedPattern"]
    for resource in template["Resources"].values():
        # Nor has ministack; where it enforces policies, the stack's own lock it out of the queues.
        document = resource["Properties"].get("PolicyDocument")
        if enforced and document:
            statements = document["Statement"]
            document["Statement"] = [it for it in statements if it.get("Sid") != "OnlyByTls"]
    for logical in [name for name, resource in template["Resources"].items()
                    if resource["Properties"].get("PolicyDocument", {}).get("Statement") == []]:
        del template["Resources"][logical]
    return json.dumps(template, separators=(",", ":"))


def package(folder, name):
    """A function's zip: of what `sam build` made, or of the binary that cargo made."""
    built = folder / FUNCTIONS[name] / "bootstrap"
    binary = built if built.exists() else folder / f"resilver-{name}"
    if not binary.exists():
        raise SystemExit(f"there is no {built}: run infra/check, or `cargo build --workspace` and --debug")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr, entry.compress_type = 0o755 << 16, zipfile.ZIP_DEFLATED
        archive.writestr(entry, binary.read_bytes())
    return packed.getvalue()
