"""Checks CDEvents (one JSON object a line) against the schemas of a folder: check-cdevents.py SCHEMAS FILE

Needs the package jsonschema (4.26.0). Exit: 0 all fit, 1 some do not (named), 77 the package is missing."""
import glob
import json
import sys

try:
    from jsonschema import Draft202012Validator, FormatChecker
    from referencing import Registry, Resource
except ImportError:
    sys.exit(77)

schemas, registry = {}, Registry()
for path in glob.glob(sys.argv[1] + "/**/*.json", recursive=True):
    schema = json.load(open(path, encoding="utf-8"))
    if "$id" in schema and "$schema" in schema:
        registry = registry.with_resource(schema["$id"], Resource.from_contents(schema))
    for kind in schema.get("properties", {}).get("context", {}).get("properties", {}).get("type", {}).get("enum", []):
        schemas[kind] = schema

passed = failed = 0
for line in open(sys.argv[2], encoding="utf-8"):
    event = json.loads(line)
    kind = event["context"]["type"]
    schema = schemas.get(kind)
    errors = ["no schema"] if schema is None else [
        "%s: %s" % ("/".join(map(str, e.path)), e.message)
        for e in Draft202012Validator(schema, registry=registry, format_checker=FormatChecker()).iter_errors(event)]
    if errors:
        failed += 1
        print("%s: %s" % (kind, "; ".join(errors)))
    else:
        passed += 1
print("%d passed, %d failed, 0 skipped" % (passed, failed))
sys.exit(1 if failed else 0)
