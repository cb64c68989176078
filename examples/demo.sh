#!/usr/bin/env bash
# stead in front of a small server, until TERM or Ctrl-C: `make demo` calls this.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x "${STEAD_BIN:-}" ] || exec make demo

cargo build --quiet --locked --example hello
hello=${CARGO_TARGET_DIR:-target}/$CARGO_BUILD_TARGET/debug/examples/hello
export PORT=${PORT:-8080}

try() { printf '  %-44s %s\n' "$@"; }
echo
echo "stead is process $$, in front of a small server on port $PORT. In another terminal:"
echo
try "curl -i http://127.0.0.1:9321/readyz" "ready, and which check says so"
try "curl 'http://127.0.0.1:9321/readyz?verbose'" "the same, a line a check"
try "curl http://127.0.0.1:$PORT/slow" "takes 5 seconds; meanwhile:"
try "kill -TERM $$" "not ready at once; the slow answer still arrives, then both end"
echo

# make's own variable is none of stead's, which refuses names that it does not know.
stead=$STEAD_BIN
unset STEAD_BIN
exec "$stead" run -- "$hello"
