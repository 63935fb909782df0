#!/usr/bin/env bash
# The optimization guide's commands, each a `cargo xtask` command by another name.
set -euo pipefail
cd "$(dirname "$0")/.."
command=${1:-}
[ $# -eq 0 ] || shift
case $command in
    build-all) exec cargo xtask build-images "$@" ;;
    build) exec cargo xtask build-images "$@" ;;
    compare) exec cargo xtask compare "$@" ;;
    analyze) exec cargo xtask analyze "$@" ;;
    *)
        echo "usage: $0 build-all|build SERVICE…|compare|analyze SERVICE [options of cargo xtask build-images, compare or analyze]" >&2
        echo "       test and clean of the guide are not built yet" >&2
        exit 2
        ;;
esac
