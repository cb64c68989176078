#!/usr/bin/env bash
# What is released, into FOLDER: an archive and a list of parts (SBOM) for each target, Debian packages, checksums.
# `make dist` calls this when the binaries are built. The same commit gives the same bytes, whenever and wherever.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C TZ=UTC
umask 022

fail() {
    echo "docker/dist.sh: $*" >&2
    exit 1
}
for program in dpkg-deb python3 xz; do
    command -v "$program" >/dev/null || fail "needs $program"
done
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null)} ||
    fail "here is no commit to take the time from: set SOURCE_DATE_EPOCH"
export SOURCE_DATE_EPOCH

target_dir=${CARGO_TARGET_DIR:-target}
folder=${1:-$target_dir/dist}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
description=$(sed -n 's/^description = "\(.*\)"/\1/p' Cargo.toml)
rm -rf "$folder"
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

binary() { echo "$target_dir/$1/release/stead"; }

# ---- What is in each binary ----------------------------------------------------------------------

# The package that a file of this machine is of, as a package URL.
package_of() { # FILE
    local package
    package=$(dpkg-query --search "$(realpath "$1")" | cut -d : -f 1)
    dpkg-query --show --showformat 'pkg:deb/debian/${Package}@${Version}?arch=${Architecture}\n' "$package" | escape
}
escape() { sed 's/+/%2B/g; s/~/%7E/g'; }

# What is linked and cargo does not compile here: the C library, the unwinder, Rust's standard library.
linked() { # TARGET
    local gcc=gcc
    case $1 in
    *-musl) package_of "/usr/lib/${1%%-*}-linux-musl/libc.a" ;;
    aarch64-*) [ "$(uname -m)" = aarch64 ] || gcc=aarch64-linux-gnu-gcc ;;
    esac
    case $1 in *-gnu) package_of "$($gcc -print-file-name=libc.a)" ;; esac
    package_of "$($gcc -print-file-name=libgcc_eh.a)"
    if [ -d "$(rustc --print target-libdir --target "$1")" ]; then
        echo "pkg:generic/rust-std@$(rustc --version | cut -d ' ' -f 2)"
    elif [[ $1 = *-gnu ]]; then
        echo "pkg:deb/debian/libstd-rust-web-dev@$(cat "$target_dir/toolchain/version")" | escape
    fi
}

parts() { # TARGET
    linked "$1" >"$work/linked"
    docker/cargo.sh "$1" build --release --locked --bin stead --message-format json 2>"$work/said" |
        xargs -a "$work/linked" docker/sbom.py "$(binary "$1")" "$1" || fail "no SBOM: $(tail -n 1 "$work/said")"
}

# ---- Archives ------------------------------------------------------------------------------------

archive() { # TARGET
    local name=stead-$version-$1
    mkdir "$work/$name"
    install -m 755 "$(binary "$1")" "$work/$name/stead"
    install -m 644 LICENSE-APACHE LICENSE-MIT README.md CHANGELOG.md "$work/$name"
    tar --create --directory "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --format=ustar "$name" | gzip --no-name --best >"$folder/$name.tar.gz"
}

# ---- Debian packages -----------------------------------------------------------------------------

maintainer="The stead authors <stead@packages.invalid>"

package() { # TARGET ARCHITECTURE
    local root=$work/$2 doc
    doc=$root/usr/share/doc/stead
    mkdir -p "$root"/{DEBIAN,usr/bin,usr/share/man/man1,usr/share/lintian/overrides} "$doc"
    install -m 755 "$(binary "$1")" "$root/usr/bin/stead"
    manual | gzip --no-name --best >"$root/usr/share/man/man1/stead.1.gz"
    install -m 644 README.md CHANGELOG.md "$doc"
    gzip --no-name --best "$doc/CHANGELOG.md"
    changelog | gzip --no-name --best >"$doc/changelog.gz"
    copyright >"$doc/copyright"
    # It is to run in images that have no C library.
    echo "stead: statically-linked-binary [usr/bin/stead]" >"$root/usr/share/lintian/overrides/stead"
    (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
    control "$2" "$(kilobytes "$root/usr")" >"$root/DEBIAN/control"
    # Its files are dated by SOURCE_DATE_EPOCH; the number of threads would change what xz makes of them.
    find "$root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$root" "$folder/stead_${version}_$2.deb" >/dev/null
}

# As dpkg-gencontrol(1) counts them: not by the blocks of this file system.
kilobytes() { # FOLDER
    find "$1" -printf '%y %s\n' | awk '{ n += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print n }'
}

control() { # ARCHITECTURE SIZE
    local rest=${description#*: }
    rest=${rest^}
    cat <<END
Package: stead
Version: $version
Architecture: $1
Maintainer: $maintainer
Installed-Size: $2
Section: admin
Priority: optional
Description: PID 1 for containers, with health endpoints
 $rest.
END
}

changelog() {
    cat <<END
stead ($version) unstable; urgency=medium

  * What has changed is told by CHANGELOG.md.

 -- $maintainer  $(date --rfc-email --date "@$SOURCE_DATE_EPOCH")
END
}

copyright() {
    cat <<END
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: $(sed -n 's/^Copyright (c) //p' LICENSE-MIT)
License: Expat or Apache-2.0

License: Expat
$(sed -n '/^Permission/,$ { s/^$/./; s/^/ /; p }' LICENSE-MIT)

License: Apache-2.0
 The full text is in /usr/share/common-licenses/Apache-2.0.
END
}

# The page of stead(1) is what `stead help` says, by the binary that runs here.
manual() {
    cat <<END
.TH STEAD 1 "$(date --date "@$SOURCE_DATE_EPOCH" +%F)" "stead $version" "User Commands"
.SH NAME
stead \\- $description
.SH DESCRIPTION
.nf
$("$(binary "$(uname -m)-unknown-linux-gnu")" help | sed "s/\\\\/\\\\e/g; s/-/\\\\-/g; s/^[.']/\\\\\&&/")
.fi
.SH SEE ALSO
/usr/share/doc/stead/README.md
END
}

# --------------------------------------------------------------------------------------------------

for target in x86_64-unknown-linux-gnu x86_64-unknown-linux-musl aarch64-unknown-linux-gnu; do
    parts "$target" >"$folder/stead-$version-$target.cdx.json"
    archive "$target"
done
package x86_64-unknown-linux-gnu amd64
package aarch64-unknown-linux-gnu arm64
(cd "$folder" && sha256sum -- * >"$work/sums" && mv "$work/sums" SHA256SUMS && cat SHA256SUMS)
