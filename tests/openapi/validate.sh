#!/bin/sh
# validate.sh PRINT CACHE - the OpenAPI document is valid by openapi-spec-validator 0.7.2 (PyPI), which is put into a virtual environment
# under CACHE the first time. Without it the document is still made and parsed, and the rest is a skip that says so.
set -eu
print=$(realpath "$1")
cache=$2
document=$(mktemp)
trap 'rm -f "$document"' EXIT
"$print" >"$document"
python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); assert d["openapi"] == "3.1.0" and len(d["paths"]) > 20' "$document"
if [ ! -x "$cache/bin/openapi-spec-validator" ]; then
	python3 -m venv "$cache" >/dev/null 2>&1 && "$cache/bin/pip" install -q openapi-spec-validator==0.7.2 >/dev/null 2>&1 ||
		{ echo "skipped: openapi-spec-validator cannot be installed"; exit 77; }
fi
"$cache/bin/openapi-spec-validator" --schema 3.1.0 "$document"
echo "1 passed, 0 failed"
