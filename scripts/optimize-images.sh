#!/usr/bin/env bash
# The optimization guide's commands, each a `cargo xtask` command by another name.
set -euo pipefail

usage() {
    cat <<USAGE
usage: $0 COMMAND [SERVICE…] [OPTION…]

  build-all        build every optimized image           cargo xtask build-images
  build SERVICE…   build those of some services          cargo xtask build-images
  compare          set them beside originals, targets    cargo xtask compare
  analyze SERVICE  say what an image's bytes are         cargo xtask analyze
  test             try the images in a stack of its own  cargo xtask test
  clean            remove images that were built         cargo xtask clean

Services and options are those of the command on the right: \`cargo xtask help build-images\` lists them.
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
