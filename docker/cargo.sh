#!/bin/sh
# cargo for what is released: `docker/cargo.sh TARGET build --release` makes a static program that holds no path of this
# machine, so that it has the same bytes wherever it is built. A target that is not this machine's own is built with
# rustup's standard library where that is installed, else with what docker/toolchain.sh gets from Debian's packages.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "docker/cargo.sh: $*" >&2
    exit 1
}
target=${1:?names no target}
shift
command -v cargo >/dev/null || fail "needs cargo"
command -v gcc >/dev/null || fail "needs gcc, which links and compiles the C code of TLS"
host=$(rustc --print host-tuple)
library=$(rustc --print target-libdir --target "$target")

# One flag a line, as it were: paths may hold blanks.
flags=
flag() { flags=${flags:+$flags$(printf '\037')}$1; }
hide() { flag "--remap-path-prefix=$1=$2"; }

# At a fixed address start-up has nothing to relocate, which is what keeps it as short as tini's, and no page of the file is
# written to; stack, heap and mappings are placed at random all the same. Without it, Debian's musl-gcc makes a program that
# asks for an interpreter.
flag -Ctarget-feature=+crt-static
flag -Crelocation-model=static

# ---- Another target than this machine's own -----------------------------------------------------

if [ "$target" != "$host" ]; then
    case $target in
    "${host%-gnu}-musl") compiler=musl-gcc ;;
    aarch64-unknown-linux-gnu) compiler=aarch64-linux-gnu-gcc ;;
    *) fail "cannot build for $target on $host" ;;
    esac
    upper=$(echo "$target" | tr a-z- A-Z_)
    if [ -d "$library" ] && command -v "$compiler" >/dev/null; then
        # rustup's musl brings what it is linked with.
        [ "$compiler" = musl-gcc ] || export "CARGO_TARGET_${upper}_LINKER=$compiler"
    else
        toolchain=$(realpath -m "${CARGO_TARGET_DIR:-target}/toolchain")
        docker/toolchain.sh "$target" "$toolchain"
        export RUSTC="$toolchain/rustc" "CC_$(echo "$target" | tr - _)=$compiler" "CARGO_TARGET_${upper}_LINKER=$compiler"
        # To build the standard library is for nightly compilers alone, unless this one is told otherwise; for all targets
        # alike, or each would build anew what runs at build time.
        export RUSTC_BOOTSTRAP=1
        if [ "$compiler" = musl-gcc ]; then
            # It is built along with stead and for size, without the reader of debug information, of which a stripped
            # program has none.
            set -- "$@" -Z build-std=std,panic_unwind -Z build-std-features=panic-unwind,optimize_for_size
            # The places in the source that a panic would name are 59 KB of the file.
            flag -Zlocation-detail=none
            flag -Clink-self-contained=no
            flag "-Lnative=$toolchain/lib"
            sources=$toolchain/root/usr/lib/rustlib/src/rust
            hide "$sources" /rustc
            # By this name cargo calls it where it is below the directory that cargo is started in.
            hide "${sources#"$PWD/"}" /rustc
        fi
    fi
fi

# ---- No path of this machine --------------------------------------------------------------------

# What panics and events name of a dependency is its folder's name and the file in it. The folders are below one of the
# registry's host, which is there once something has been fetched.
cargo fetch --quiet --locked --target "$target"
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    [ ! -d "$registry" ] || hide "$registry/" ""
done
hide "$PWD/vendor/" ""
# No date is in the file either, and what compiles C for cargo would begin anew at each other one.
unset SOURCE_DATE_EPOCH
CARGO_ENCODED_RUSTFLAGS=$flags exec cargo "$@" --target "$target"
