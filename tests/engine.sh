# Sourced by tests/run.sh and benches/run.sh: a private container engine for where none answers, and its end.

say() { echo "$0: $*" >&2; }
fail() {
    say "$*"
    exit 1
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

engine=
bridge=
start_engine() {
    engine=$(mktemp -d /tmp/stead-engine.XXXXXX)
    add_bridge
    export DOCKER_HOST="unix://$engine/docker.sock"
    as_root setsid dockerd --data-root "$engine/data" --exec-root "$engine/exec" --bridge "$bridge" \
        --pidfile "$engine/docker.pid" --group "$(id -gn)" -H "$DOCKER_HOST" \
        >"$engine/log" 2>&1 </dev/null &
    local tries
    for tries in $(seq 300); do
        docker info >/dev/null 2>&1 && return
        sleep 0.2
    done
    tail -n 20 "$engine/log" >&2
    fail "no container engine answers, and a private dockerd did not start within $((tries / 5)) s: its last lines are above"
}

# A bridge of its own: any other dockerd of the machine takes docker0 for its own, and removes it
# when it is started with --bridge=none.
add_bridge() {
    local third
    for third in $(seq 0 255); do
        ip -4 -oneline address | grep -q " 172\.30\.$third\." || break
    done
    bridge=stead$$
    as_root ip link add "$bridge" type bridge
    as_root ip address add "172.30.$third.1/24" dev "$bridge"
    as_root ip link set "$bridge" up
}

# Ends the process whose id is in a file, with KILL when 30 s of TERM do not.
end_process() { # PIDFILE
    local pid
    pid=$(as_root cat "$1" 2>/dev/null) || return 0
    as_root kill -TERM "$pid" 2>/dev/null || return 0
    for _ in $(seq 150); do
        as_root kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.2
    done
    as_root kill -KILL "$pid" 2>/dev/null || true
}

stop_engine() {
    [ -n "$engine" ] || return 0
    end_process "$engine/docker.pid"
    end_process "$engine/exec/containerd/containerd.pid"
    grep -o " $engine/[^ ]*" /proc/self/mounts | sort -r | while read -r mount; do
        as_root umount -l "$mount" || true
    done
    [ -z "$bridge" ] || as_root ip link delete "$bridge" || true
    as_root rm -rf "$engine"
    engine=
}

# What the tests made and an engine of the machine's own would keep.
remove_test_objects() {
    [ -n "${TEST_RUN:-}" ] || return 0
    local label="stead-test=$TEST_RUN" containers
    containers=$(docker ps -aq --filter "label=$label" 2>/dev/null) || return 0
    # shellcheck disable=SC2086
    [ -z "$containers" ] || docker rm -f $containers >/dev/null || true
    docker image prune --all --force --filter "label=$label" >/dev/null || true
    # Compose labels what it makes with its project alone.
    local named="name=stead-test-$TEST_RUN-"
    docker container ls -aq --filter "$named" | xargs -r docker container rm -f -v >/dev/null || true
    docker network ls -q --filter "$named" | xargs -r docker network rm >/dev/null || true
    docker volume ls -q --filter "$named" | xargs -r docker volume rm >/dev/null || true
}
