#!/usr/bin/env bash
# The commands of the optimization guide. Each one calls `cargo xtask`.
set -euo pipefail

usage() {
    cat <<USAGE
usage: $0 COMMAND [SERVICE…] [OPTION…]

  build-all        build all optimized images            cargo xtask build-images
  build SERVICE…   build the images of some services     cargo xtask build-images
  compare          compare with originals and targets    cargo xtask compare
  analyze SERVICE  explain the bytes of an image         cargo xtask analyze
  test             test images in a throwaway stack      cargo xtask test
  clean            remove the images that were built     cargo xtask clean

Each command accepts the services and options of the one on the right: \`cargo xtask help build-images\` lists them.
Builds are always parallel; --parallel and PARALLEL=true are ignored. NO_CACHE=true means --no-cache, PUSH_IMAGES=true means --push.
USAGE
}

words=()
for word in "$@"; do
    [ "$word" = --parallel ] || words+=("$word")
done

# option_if VALUE OPTION: adds OPTION if VALUE is `true` and OPTION is not already given.
option_if() {
    [ "$1" = true ] || return 0
    case " ${words[*]} " in *" $2 "*) ;; *) words+=("$2") ;; esac
}

case ${words[0]:-} in
    '')
        usage >&2
        exit 2
        ;;
    help | -h | --help)
        usage
        exit 0
        ;;
    build-all | build)
        option_if "${NO_CACHE:-}" --no-cache
        option_if "${PUSH_IMAGES:-}" --push
        words[0]=build-images
        ;;
esac
cd "$(dirname "$0")/.."
# cargo xtask suggests the closest command for an unknown one.
exec cargo xtask "${words[@]}"
