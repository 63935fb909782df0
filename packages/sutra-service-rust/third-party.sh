#!/bin/sh
# third-party.sh PACKAGE FOLDER: writes the licence notices of the linked crates into FOLDER: THIRD-PARTY (one crate per
# line: name, version, licence) and LICENCES (each licence text once, with the crates that use it).
# Run it in the workspace after `cargo build`, which downloads the crates' sources.
set -eu
package=$1
folder=$2
# The crates of the image's architecture, not of the builder's.
. /etc/target
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo tree --locked --offline --target "$rust" --package "$package" --edges normal,no-proc-macro --prefix none --format '{p} {l}' \
    | grep -v ' (/' | sed 's/ (\*)$//; s/ v\([0-9]\)/ \1/' | LC_ALL=C sort -u >"$folder/THIRD-PARTY"
echo "Rust standard library, MIT OR Apache-2.0; GNU C library, LGPL-2.1-or-later (where linked statically)" \
    >>"$folder/THIRD-PARTY"

# If a crate offers MIT among other licences, use its MIT text.
texts_of() {
    set -- "$CARGO_HOME"/registry/src/*/"$1-$2"
    for pattern in 'license-mit*' 'licen[sc]e*' 'copying*' 'unlicense*'; do
        found=$(find "$1" -maxdepth 1 -type f -iname "$pattern" | LC_ALL=C sort)
        [ -z "$found" ] || break
    done
    echo "$found"
    find "$1" -maxdepth 1 -type f -iname 'notice*'
}

while read -r name version _; do
    for text in $(texts_of "$name" "$version"); do
        sum=$(tr -s '[:space:]' ' ' <"$text" | sha256sum | cut -c 1-64)
        echo "$name $version" >>"$work/$sum.crates"
        cp "$text" "$work/$sum.text"
    done
done <<END
$(grep -v '^Rust standard' "$folder/THIRD-PARTY")
END

for crates in $(cd "$work" && LC_ALL=C ls ./*.crates); do
    printf '\n===== %s\n\n' "$(paste -s -d , "$work/$crates" | sed 's/,/, /g')"
    cat "$work/${crates%.crates}.text"
done >"$folder/LICENCES"
