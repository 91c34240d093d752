#!/bin/sh
# Checks deploy/ and .runpod/ against published schemas, in a Python environment of its own: check-manifests.sh [ENVIRONMENT]
# Shell scripts, the Dockerfile's names and the systemd unit are looked at as far as the machine has what it takes.
set -eu
cd "$(dirname "$0")/.."
environment=${1:-.venv-manifests}
packages="kubernetes-validate==1.37.0 compose-spec==0.2.1 cloudcoil-models-keda==2.16.1.0 PyYAML==6.0.3"
if [ "$(cat "$environment/packages" 2> /dev/null)" != "$packages" ]; then
    python3 -m venv "$environment"
    # shellcheck disable=SC2086
    "$environment/bin/pip" install --quiet --disable-pip-version-check $packages
    echo "$packages" > "$environment/packages"
fi
"$environment/bin/python" Scripts/check_manifests.py
for script in deploy/*/*.sh Scripts/*.sh; do
    case "$(head -1 "$script")" in *bash) bash -n "$script" ;; *) sh -n "$script" ;; esac
done
if command -v systemd-analyze > /dev/null && [ -d deploy/systemd ]; then
    # A copy that names a program which is there: the unit's own is installed by hand.
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    for unit in deploy/systemd/*.service; do
        sed "s|^ExecStart=[^ ]*|ExecStart=/bin/true|" "$unit" > "$folder/$(basename "$unit")"
        systemd-analyze verify "$folder/$(basename "$unit")"
    done
fi
