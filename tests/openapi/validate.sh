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
# whatever is not on this short list asks for credentials
python3 - "$document" <<'EOF'
import json, sys
public = {"get /healthz", "get /readyz", "get /api/v1/openapi.json", "get /api/v1/token", "get /login", "post /login", "post /logout", "get /assets/{rest}",
          "get /ofrep/v1/events/{project}/{set}"}  # these two ask for a ticket or a token themselves
paths = json.load(open(sys.argv[1]))["paths"]
operations = {f"{method} {path}": o for path, methods in paths.items() for method, o in methods.items()}
assert {name for name, o in operations.items() if "security" not in o} == public, "another list of public operations"
jobs = {name for name, o in operations.items() if o.get("x-weir-job")}
assert jobs == {"put /api/v1/artifacts", "post /api/v1/releases"} and all(operations[name]["x-weir-scope"] == "release" for name in jobs), jobs
EOF
if [ ! -x "$cache/bin/openapi-spec-validator" ]; then
	python3 -m venv "$cache" >/dev/null 2>&1 && "$cache/bin/pip" install -q openapi-spec-validator==0.7.2 >/dev/null 2>&1 ||
		{ echo "skipped: openapi-spec-validator cannot be installed"; exit 77; }
fi
"$cache/bin/openapi-spec-validator" --schema 3.1.0 "$document"
echo "1 passed, 0 failed"
