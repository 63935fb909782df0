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
USAGE
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
    build-all | build) words=(build-images "$@") ;;
    analyze | clean | compare | test) words=("$command" "$@") ;;
    help | -h | --help)
        usage
        exit 0
        ;;
    *)
        [ -z "$command" ] || echo "$0: there is no command \`$command\`" >&2
        usage >&2
        exit 2
        ;;
esac
cd "$(dirname "$0")/.."
exec cargo xtask "${words[@]}"
