#!/bin/sh
# glibc.sh ROOT: names the GNU C library that is linked into a static program. ROOT gets the entry of Debian's package libc6 in
# dpkg's database (status.d, as in distroless images), its copyright file, and the name of the Debian release. Scanners and
# `cargo xtask vulnerabilities` read these.
set -eu
root=$1
. /etc/target
copyright=usr/share/doc/libc6/copyright
entry=var/lib/dpkg/status.d/libc6

install -D -m 644 /usr/share/doc/libc6-dev/copyright "$root/$copyright"
install -D -m 644 /usr/lib/os-release "$root/usr/lib/os-release"
mkdir -p "$root/${entry%/*}"
# libc.a is in libc6-dev, which has the version of libc6.
dpkg-query --show --showformat 'Package: libc6
Source: ${source:Package} (${source:Version})
Version: ${Version}
Architecture: ${Architecture}
Maintainer: ${Maintainer}
Description: GNU C Library, linked statically
' "libc6-dev:$debian" >"$root/$entry"
(cd "$root" && md5sum "$copyright") >"$root/$entry.md5sums"
