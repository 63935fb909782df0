#!/usr/bin/env bash
# Downloads the program `images` of a release, verifies its checksum and puts it on PATH.
set -euo pipefail

fail() {
    echo "::error::$1"
    exit 1
}

case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) file=images-linux-amd64 ;;
    Linux-aarch64) file=images-linux-arm64 ;;
    *) fail "no program for $(uname -sm): use a Linux runner on amd64 or arm64" ;;
esac
[[ "${VERSION:-}" =~ ^v?([0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.-]*)$ ]] ||
    fail "\`${VERSION:-}\` is not a release: set the input \`version\`, or use this action by a tag such as v1.2.0"
release="v${BASH_REMATCH[1]}"

folder="$(mktemp -d "${RUNNER_TEMP:?}/images-XXXXXX")"
cd "$folder"
download() {
    curl --fail --silent --show-error --location --retry 3 --max-time 300 --remote-name \
        "${GITHUB_SERVER_URL:?}/${REPOSITORY:?}/releases/download/$release/$1" || fail "cannot download $1 of $release"
}
download "$file"
if [ -z "${SHA256:-}" ]; then
    download SHA256SUMS
    SHA256="$(awk -v file="$file" '$2 == file { print $1 }' SHA256SUMS)"
fi
echo "$SHA256  $file" | sha256sum --check --strict --quiet - || fail "$file of $release does not match its SHA-256 checksum"
install -D -m 755 "$file" "bin/images"
echo "$folder/bin" >> "${GITHUB_PATH:?}"
bin/images --version
