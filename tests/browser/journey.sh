#!/bin/sh
# journey.sh FIXTURE_SERVER - runs journey.mjs when chromium, node and its one package are there; else says so and is a skip.
set -eu
server=$(realpath "$1")
cd "$(dirname "$0")"
for tool in node npm /usr/bin/chromium; do
	command -v "$tool" >/dev/null 2>&1 || { echo "skipped: $tool is not installed"; exit 77; }
done
if [ ! -d node_modules/playwright-core ]; then
	npm ci --ignore-scripts --no-audit --no-fund >/dev/null 2>&1 || { echo "skipped: npm cannot fetch playwright-core"; exit 77; }
fi
exec node journey.mjs "$server"
