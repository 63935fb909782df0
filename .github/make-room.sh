#!/usr/bin/env bash
# Makes a machine of GitHub's ready: room for images, and a Rust that is new enough.
#
# GitHub promises 14 GB of disk; `cargo xtask ci` builds originals, two of them with PyTorch, and needs about 30 (README). What
# its images bring for other languages is taken away here. Where that does not do (the promise is 14 GB, after all), name a larger
# machine in the repository's variable SUTRA_RUNNER.
set -euo pipefail

# shellcheck disable=SC2153 # GitHub sets it.
if [ "${RUNNER_ENVIRONMENT:-}" = github-hosted ]; then
    sudo rm -rf /usr/share/dotnet /usr/local/lib/android /opt/ghc /usr/local/.ghcup /usr/share/swift "${AGENT_TOOLSDIRECTORY:?}"
fi
df -h / /var/lib/docker || true

rustup toolchain install stable --profile minimal --component clippy --component rustfmt --no-self-update
rustup default stable
