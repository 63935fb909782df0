#!/bin/sh
# lay-out DEBS OUT: unpacks the Debian packages in DEBS and copies to OUT only the files that nginx needs, and each package's
# metadata (status.d, with the checksums of the copied files) and copyright file.
set -eu
debs=$1
out=$2
all=$(mktemp -d)

# Create the merged-/usr links first, so that packages with files in /lib follow them.
for root in "$all" "$out"; do
  mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib"
  for dir in bin sbin lib; do ln -s "usr/$dir" "$root/$dir"; done
done
for deb in "$debs"/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$all" --keep-directory-symlink
done
if [ -d "$all/usr/lib64" ]; then
  ln -sfn usr/lib64 "$out/lib64"
fi

# Copies paths of the unpacked packages to OUT; a missing path is an error.
keep() {
  for path in "$@"; do
    [ -e "$all/$path" ] || { echo "lay-out: file not found in any package: /$path; correct the list in lay-out.sh" >&2; exit 1; }
    (cd "$all" && cp -a --parents "$path" "$out/")
  done
}
in_all() { (cd "$all" && for match in $1; do echo "$match"; done); }

keep usr/sbin/nginx etc/nginx/mime.types usr/lib/os-release etc/os-release
# The dynamic loader: the path of the ABI is a link to the real file.
keep $(in_all 'usr/lib*/ld-linux*.so.*') $(in_all 'usr/lib/*-linux-*/ld-linux*.so.*')
for library in libc.so.6 libcrypt.so.1 libpcre2-8.so.0 libssl.so.3 libcrypto.so.3 libz.so.1 libzstd.so.1 libgcc_s.so.1; do
  link=$(in_all "usr/lib/*-linux-*/$library")
  keep "$link"
  # The soname is often a link to the file with the full version.
  if [ -L "$all/$link" ]; then keep "$(dirname "$link")/$(readlink "$all/$link")"; fi
done

mkdir -p "$out/var/lib/dpkg/status.d"
for deb in "$debs"/*.deb; do
  name=$(dpkg-deb --field "$deb" Package)
  doc=usr/share/doc/$name
  # A link points to a package of the same source, which has the copyright file for both.
  if [ -L "$all/$doc" ]; then keep "$doc"; else keep "$doc/copyright"; fi
  record=$out/var/lib/dpkg/status.d/$name
  dpkg-deb --field "$deb" > "$record"
  dpkg-deb --ctrl-tarfile "$deb" | tar -xO ./md5sums | while read -r sum path; do
    if [ -f "$out/$path" ]; then echo "$sum  $path"; fi
  done > "$record.md5sums"
done

mkdir -p "$out/etc" "$out/tmp" "$out/run"
chmod 1777 "$out/tmp"
printf 'root:x:0:0:root:/:/sbin/nologin\nsutra:x:65532:65532:sutra:/tmp:/sbin/nologin\n' > "$out/etc/passwd"
printf 'root:x:0:\nsutra:x:65532:\n' > "$out/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' > "$out/etc/nsswitch.conf"
