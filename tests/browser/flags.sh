#!/bin/sh
# flags.sh WEIR [SCREENSHOT_FOLDER] - runs flags.mjs over a server of its own when chromium, node and its one package are there; else says so and is a skip.
set -eu
weir=$(realpath "$1")
[ $# -lt 2 ] || WEIR_SHOTS=$(realpath -m "$2")
export WEIR_SHOTS="${WEIR_SHOTS:-}"
cd "$(dirname "$0")"
for tool in node npm python3 /usr/bin/chromium; do
	command -v "$tool" >/dev/null 2>&1 || { echo "skipped: $tool is not installed"; exit 77; }
done
if [ ! -d node_modules/playwright-core ]; then
	npm ci --ignore-scripts --no-audit --no-fund >/dev/null 2>&1 || { echo "skipped: npm cannot fetch playwright-core"; exit 77; }
fi
exec python3 flags.py "$weir"
