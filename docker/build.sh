#!/usr/bin/env bash
# Builds the image stead:VERSION and stead:latest from the binary of `make build`: `make image` calls this.
# It is the last stage of docker/Dockerfile, with a binary that is there in the place of one that is compiled. Arguments go
# to `docker build`; IMAGE is another name.
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
sed '1,/^FROM scratch/ { /^FROM scratch/!d }; s/--from=build //' docker/Dockerfile >"$context/Dockerfile"
# The layer has the file's date in it, and the image one of its own where the builder knows of this variable.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
install -m 755 "$STEAD_BIN" "$context/stead"
touch -d "@$SOURCE_DATE_EPOCH" "$context/stead"

image=${IMAGE:-stead}
version=$("$STEAD_BIN" --version)
version=${version#stead }
arguments=(--build-arg "VERSION=$version" -t "$image:$version" -t "$image:latest")
# A client without buildx has the classic builder only, and says so unless it is asked for.
if docker buildx version >/dev/null 2>&1; then
    arguments+=(--build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH")
else
    export DOCKER_BUILDKIT=0
fi
docker build "${arguments[@]}" "$@" "$context"
docker image ls "$image"
