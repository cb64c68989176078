#!/usr/bin/env bash
# cargo for the static target with musl, where rustup has none: `docker/musl.sh build --release` (`make musl` calls it).
# The compiler and the sources of its standard library come from Debian's packages. They are unpacked below the target
# folder and not installed; of the system it takes cargo, gcc and musl-tools, which is installed when it is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."

say() { echo "docker/musl.sh: $*" >&2; }
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

target=$(uname -m)-unknown-linux-musl
toolchain=$(realpath -m "${CARGO_TARGET_DIR:-target}/musl-toolchain")

command -v cargo >/dev/null || fail "needs cargo"
command -v gcc >/dev/null || fail "needs gcc, which links and compiles the C code of TLS"

# ---- The toolchain ------------------------------------------------------------------------------

# The browsers' Rust is the one that Debian keeps recent in a stable release.
packages=(rustc-web rust-web-src)

fetch() {
    command -v apt-get >/dev/null || fail "needs rustup's target $target, or Debian's apt-get to fetch ${packages[*]}"
    say "fetching ${packages[*]} and what they need from Debian's packages, into $toolchain"
    rm -rf "$toolchain"
    mkdir -p "$toolchain"/{debs/partial,root,lib}
    quietly "read Debian's lists of packages" as_root apt-get update
    command -v musl-gcc >/dev/null ||
        quietly "install musl-tools" as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends musl-tools
    # Only what this machine has not, libraries of the compiler's too.
    quietly "fetch ${packages[*]}" as_root apt-get install -y --no-install-recommends --download-only --reinstall \
        -o "Dir::Cache::archives=$toolchain/debs" "${packages[@]}"
    local package
    for package in "$toolchain"/debs/*.deb; do
        quietly "unpack $package" dpkg-deb -x "$package" "$toolchain/root"
    done
    as_root rm -rf "$toolchain/debs"
    make_compiler
    make_unwinder
    "$toolchain/rustc" --version >"$toolchain/complete" || fail "the compiler of ${packages[0]} does not run here"
}

make_compiler() {
    cat >"$toolchain/rustc" <<END
#!/bin/sh
LD_LIBRARY_PATH='$toolchain/root/usr/lib/$(gcc -print-multiarch)' exec '$toolchain/root/usr/bin/rustc' "\$@"
END
    chmod 755 "$toolchain/rustc"
}

# Rust's standard library unwinds by a libunwind. gcc's unwinder is one, but for what it asks of glibc.
make_unwinder() {
    local lib=$toolchain/lib
    cp "$(gcc -print-file-name=libgcc_eh.a)" "$lib/libunwind.a"
    quietly "compile the unwinder" musl-gcc -Os -c "$here/unwind.c" -o "$lib/unwind.o"
    ar r "$lib/libunwind.a" "$lib/unwind.o"
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
    quietly "link the unwinder" musl-gcc -static -no-pie -Wl,--eh-frame-hdr "$lib/try.c" -L"$lib" -lunwind -o "$lib/try"
    "$lib/try" || fail "the unwinder of this gcc does not work with musl"
}

[ -e "$toolchain/complete" ] || fetch
command -v musl-gcc >/dev/null || fail "needs musl-gcc of musl-tools"

# ---- cargo --------------------------------------------------------------------------------------

# The standard library is built along with stead and for size, without the reader of debug information, of which a
# stripped program has none. That is for nightly compilers alone, unless this one is told otherwise.
export RUSTC="$toolchain/rustc" RUSTC_BOOTSTRAP=1
settings=${target//-/_}
export "CC_$settings=musl-gcc" "CARGO_TARGET_${settings^^}_LINKER=musl-gcc"
# One flag a line, because paths may hold blanks. Without a fixed address Debian's musl-gcc makes a program that asks for an
# interpreter.
flags=(-C target-feature=+crt-static -C relocation-model=static -C link-self-contained=no -L "native=$toolchain/lib")
CARGO_ENCODED_RUSTFLAGS=$(printf '\x1f%s' "${flags[@]}")
export CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS#?}
exec cargo "$@" --target "$target" -Z build-std=std,panic_unwind -Z build-std-features=panic-unwind,optimize_for_size
