#!/usr/bin/env bash
# Figures beside the peers, into BENCHMARKS.md: what `make bench` runs once stead is built.
# QUICK=1 tries everything with a few rounds, ONLY=orphans measures that part alone; neither is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
. tests/engine.sh
: "${STEAD_BIN:?is the program to measure; make bench sets it}"
: "${STEAD_MUSL_BIN:?is the one of the other C library, whose size is told; make bench sets it}"

policy=
aside=$(mktemp -d)
clean_up() {
    set +e
    rm -rf "$aside"
    [ -z "$policy" ] || rm -f "$policy"
    remove_test_objects
    stop_engine
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

missing=
need() { # need PROGRAM PACKAGE: remembers the Debian package of a program that is not there.
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need tini tini
need tini-static tini
need dumb-init dumb-init
need catatonit catatonit
need nginx nginx-light
need wrk wrk
need curl curl
need wget wget
need jq jq
need s6-log s6
need multilog daemontools
need unshare util-linux
need setpriv util-linux
need redis-server redis-server
need redis-cli redis-tools
need /usr/lib/postgresql/15/bin/postgres postgresql-15
need /usr/lib/rabbitmq/bin/rabbitmq-server rabbitmq-server
need haproxy haproxy
need /bin/busybox busybox-static
need docker docker.io
need dockerd docker.io
need iptables iptables

if [ -n "$missing" ]; then
    echo "bench: installing the Debian packages$missing" >&2
    # Debian starts what it installs; a policy that forbids it keeps nginx off port 80.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    apt-get update -qq
    # shellcheck disable=SC2086 # one word a package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
fi

# For what is measured in containers.
docker info >/dev/null 2>&1 || start_engine
TEST_RUN="$$-$(date +%s)"
export TEST_RUN
cargo build --release --locked --example hello --example load --example replica

# What is measured is what `make build` made: cargo builds the program again for a bench, in the same place and with the
# features that only tests want.
cp "$STEAD_BIN" "$aside/stead"
STEAD_BIN=$aside/stead cargo bench --locked --bench peers
