#!/usr/bin/env bash
# Builds the image stead:VERSION and stead:latest from the binary of `make build`: `make image` calls this.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "docker/build.sh: $*" >&2
    exit 1
}
[ -x "${STEAD_BIN:-}" ] || fail "STEAD_BIN names no program: run this through \`make image\`"
docker info >/dev/null 2>&1 || fail "no container engine answers: start one, or set DOCKER_HOST to one"

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp docker/Dockerfile "$STEAD_BIN" "$context"
chmod 755 "$context/stead"

version=$("$STEAD_BIN" --version)
version=${version#stead }
# A client without buildx has the classic builder only, and says so unless it is asked for.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
docker build --build-arg "VERSION=$version" -t "stead:$version" -t stead:latest "$context"
docker image ls stead
