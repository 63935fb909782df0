#!/usr/bin/env bash
# Prints what xtask costs beside the docker commands that it wraps, as ratios of pairs measured in one run:
#   scripts/benchmark.sh [SERVICE…]     (default: client; a cold build is repeated for each of two pairs)
# Needs an engine and the images built once. Machines are noisy: read medians and ratios, not single times.
set -euo pipefail
cd "$(dirname "$0")/.."
services=("${@:-client}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Seconds that a command takes, with three decimals; its output goes to a log that is shown when it fails.
seconds() {
    local from to
    from=$(date +%s%N)
    "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
    to=$(date +%s%N)
    awk -v ns=$((to - from)) 'BEGIN { printf "%.3f\n", ns / 1e9 }'
}
median() { sort -n | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
ratio() { paste "$1" "$2" | awk '{ printf "%.3f\n", $1 / $2 }' | median; }
less() { paste "$1" "$2" | awk '{ printf "%.3f\n", $1 - $2 }' | median; }

cargo build --quiet --package xtask
xtask() { target/debug/xtask --quiet "$@"; }
xtask build-images "${services[@]}" >/dev/null
# The same definition, under tags that are removed again.
xtask build-images "${services[@]}" --dry-run >"$work/bake.json"
export BUILDX_NO_DEFAULT_LOAD=1 BUILDX_NO_DEFAULT_ATTESTATIONS=1 BUILDX_GIT_INFO=0
bake() { docker buildx bake --progress=rawjson --file "$work/bake.json" "$@"; }

for _ in 1 2 3 4 5 6 7; do
    seconds xtask build-images "${services[@]}" >>"$work/warm-xtask"
    seconds bake >>"$work/warm-bake"
    seconds xtask compare >>"$work/compare"
    seconds cargo xtask --quiet compare >>"$work/compare-cargo"
done
echo "nothing changed: xtask $(median <"$work/warm-xtask") s, bake alone $(median <"$work/warm-bake") s, more by $(less "$work/warm-xtask" "$work/warm-bake") s (median of 7 pairs)"
echo "compare: $(median <"$work/compare") s; through warm cargo $(median <"$work/compare-cargo") s (median of 7)"

for _ in 1 2; do
    seconds xtask build-images "${services[@]}" --no-cache >>"$work/cold-xtask"
    seconds bake --no-cache >>"$work/cold-bake"
done
echo "cold build of ${services[*]}: xtask $(median <"$work/cold-xtask") s, bake alone $(median <"$work/cold-bake") s, ratio $(ratio "$work/cold-xtask" "$work/cold-bake") (median of 2 pairs)"

echo "xtask compiled from nothing: $(seconds cargo build --quiet --package xtask --target-dir "$work/target") s on $(nproc) cores"
grep -o '"[^"]*:run-[^"]*"' "$work/bake.json" | tr -d '"' | xargs -r docker image rm >/dev/null
