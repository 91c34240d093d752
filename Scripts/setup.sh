#!/bin/sh
# Installs the Debian packages that building and testing need, where they are missing.
set -eu

command -v swift >/dev/null || {
    echo "needletail needs a Swift 6.2 or newer toolchain on the PATH: https://www.swift.org/install" >&2
    exit 1
}

# Building needs the first line, `setup.sh test` also the second.
packages="libpcre2-dev libsqlite3-dev zlib1g-dev pkg-config python3 python3-venv"
[ "${1:-}" != test ] || packages="$packages postgresql libpq5 openssl procps"

missing=""
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

echo "installing:$missing"
run=""
[ "$(id -u)" = 0 ] || run="sudo"
$run apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $missing
