#!/usr/bin/env bash
# A Rust compiler for a target that rustup has not here: `docker/toolchain.sh TARGET FOLDER`; docker/cargo.sh calls it.
# The compiler and its standard library come from Debian's packages. They are unpacked into FOLDER and not installed; of the
# system it takes gcc, and the C compiler for TARGET, which is installed when it is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=$1 toolchain=$2

say() { echo "docker/toolchain.sh: $*" >&2; }
fail() {
    say "$*"
    exit 1
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
quietly() { # WHAT COMMAND...: its output is shown by its last error alone
    local what=$1 said
    shift
    said=$("$@" 2>&1) || fail "cannot $what: $(grep -m 1 '^E: ' <<<"$said" || tail -n 1 <<<"$said")"
}
read_lists() {
    command -v apt-get >/dev/null || fail "needs rustup's target $target, or Debian's apt-get to fetch one"
    quietly "read Debian's lists of packages" as_root apt-get update
}
need() { # PROGRAM PACKAGE...
    local program=$1
    shift
    ! command -v "$program" >/dev/null || return 0
    say "installing from Debian packages: $*"
    read_lists
    quietly "install $*" as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# ---- The compiler, with the sources of its standard library --------------------------------------

# The browsers' Rust is the one that Debian keeps recent in a stable release.
packages=(rustc-web rust-web-src)

fetch_compiler() {
    say "fetching ${packages[*]} and what they need from Debian's packages, into $toolchain"
    read_lists
    rm -rf "$toolchain"
    mkdir -p "$toolchain"/{debs/partial,root}
    # Only what this machine has not, libraries of the compiler's too.
    quietly "fetch ${packages[*]}" as_root apt-get install -y --no-install-recommends --download-only --reinstall \
        -o "Dir::Cache::archives=$toolchain/debs" "${packages[@]}"
    local version
    version=$(dpkg-deb --field "$toolchain"/debs/"${packages[0]}"_*.deb Version)
    unpack
    cat >"$toolchain/rustc" <<END
#!/bin/sh
LD_LIBRARY_PATH='$toolchain/root/usr/lib/$(gcc -print-multiarch)' exec '$toolchain/root/usr/bin/rustc' "\$@"
END
    chmod 755 "$toolchain/rustc"
    quietly "run the compiler of ${packages[0]}" "$toolchain/rustc" --version
    echo "$version" >"$toolchain/version"
}

unpack() {
    local package
    for package in "$toolchain"/debs/*.deb; do
        quietly "unpack $package" dpkg-deb -x "$package" "$toolchain/root"
    done
    as_root rm -rf "$toolchain/debs"
}

# ---- musl ----------------------------------------------------------------------------------------

# Rust's standard library unwinds by a libunwind. gcc's unwinder is one, but for what it asks of glibc.
make_unwinder() {
    local lib=$toolchain/lib
    mkdir -p "$lib"
    cp "$(gcc -print-file-name=libgcc_eh.a)" "$lib/unwinder.a"
    quietly "compile the unwinder" musl-gcc -Os -c "$here/unwind.c" -o "$lib/unwind.o"
    ar r "$lib/unwinder.a" "$lib/unwind.o"
    # A panic in a check must not end stead: an unwinder that finds no way builds nothing.
    cat >"$lib/try.c" <<'END'
#include <unwind.h>
static _Unwind_Reason_Code count(struct _Unwind_Context *context, void *frames)
{
    (void)context;
    ++*(int *)frames;
    return _URC_NO_REASON;
}
int main(void)
{
    int frames = 0;
    _Unwind_Backtrace(count, &frames);
    return frames == 0;
}
END
    quietly "link the unwinder" musl-gcc -static -no-pie -Wl,--eh-frame-hdr "$lib/try.c" "$lib/unwinder.a" -o "$lib/try"
    "$lib/try" || fail "the unwinder of this gcc does not work with musl"
    mv "$lib/unwinder.a" "$lib/libunwind.a"
}

# ---- arm64 ---------------------------------------------------------------------------------------

# The same compiler's standard library, by lists of packages of its own: the system's stay as they are.
fetch_arm64() {
    local library version apt=$toolchain/apt
    version=$(cat "$toolchain/version")
    library=libstd-rust-web-dev=$version
    say "fetching $library for arm64 from Debian's packages, into $toolchain"
    rm -rf "$apt"
    mkdir -p "$apt"/{lists,cache} "$toolchain/debs"
    local options=(-o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::status=/dev/null
        -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache")
    quietly "read Debian's lists of packages for arm64" apt-get "${options[@]}" update
    (cd "$toolchain/debs" && quietly "fetch $library (where Debian has a newer one, remove $toolchain)" \
        apt-get "${options[@]}" download "$library")
    unpack
    rm -rf "$apt"
}

# -------------------------------------------------------------------------------------------------

case $target in
*-musl) need musl-gcc musl-tools ;;
aarch64-*) need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
esac
[ -e "$toolchain/version" ] || fetch_compiler
case $target in
*-musl) [ -e "$toolchain/lib/libunwind.a" ] || make_unwinder ;;
aarch64-*) [ -d "$toolchain/root/usr/lib/rustlib/$target" ] || fetch_arm64 ;;
esac
