#!/usr/bin/env bash
# Runs the stack. Each command calls `cargo xtask`.
set -euo pipefail

usage() {
    cat <<USAGE
usage: $0 COMMAND [OPTION…]

  install, up        start all services                            cargo xtask deploy install
  deploy TAG         start all services with the images of TAG      cargo xtask deploy install --tag TAG
  update [SERVICE…]  replace changed containers                    cargo xtask deploy update
  restart [SERVICE…] restart services                              cargo xtask deploy restart
  rollback [SERVICE…] roll back to the previous images             cargo xtask deploy rollback
  status             show the health of all services               cargo xtask deploy status
  logs [SERVICE…]    show the logs                                 cargo xtask deploy logs
  validate           probe the running services                    cargo xtask smoke-test
  down               remove the containers, keep the data          cargo xtask deploy down
  clean              remove containers and images, keep the data   cargo xtask deploy down, then clean
  version            print the version                             cargo xtask --version

Each command accepts the options of the one on the right: \`cargo xtask help deploy\` lists them.
USAGE
}

command=${1:-}
[ $# -eq 0 ] || shift
cd "$(dirname "$0")"
case $command in
    '')
        usage >&2
        exit 2
        ;;
    help | -h | --help) usage ;;
    up) exec cargo xtask deploy install "$@" ;;
    deploy) exec cargo xtask deploy install --tag "$@" ;;
    validate) exec cargo xtask smoke-test "$@" ;;
    version) exec cargo xtask --version "$@" ;;
    clean)
        cargo xtask deploy down
        exec cargo xtask clean --edition all --variant both "$@"
        ;;
    install | update | restart | rollback | status | logs | down) exec cargo xtask deploy "$command" "$@" ;;
    *)
        echo "$0 also accepts: up, deploy TAG, validate, clean, version" >&2
        # cargo xtask suggests the closest command.
        exec cargo xtask deploy "$command" "$@"
        ;;
esac
