#!/usr/bin/env bash
# stead in front of a small server, until TERM or Ctrl-C: `make demo` calls this.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x "${STEAD_BIN:-}" ] || exec make demo

cargo build --quiet --locked --example hello
hello=${CARGO_TARGET_DIR:-target}/$CARGO_BUILD_TARGET/debug/examples/hello
export PORT=${PORT:-8080}

cat <<END

stead is process $$, in front of a small server on port $PORT. In another terminal:

  curl -i http://127.0.0.1:9321/readyz          ready, and which check says so
  curl -i http://127.0.0.1:9321/readyz?verbose  the same, a line a check
  curl http://127.0.0.1:$PORT/slow                 takes 5 seconds; meanwhile:
  kill -TERM $$                             not ready at once, the slow answer still arrives, then all end

END
# make's own variable is none of stead's, which refuses names that it does not know.
stead=$STEAD_BIN
unset STEAD_BIN
exec "$stead" run -- "$hello"
