#!/bin/sh
# The serverless part with real clients: the acceptance checks, two gateways on one PostgreSQL, then three minutes of chaos with each.
# usage: run.sh NEEDLETAIL [MINUTES_OF_CHAOS]
set -eu
binary=$1
minutes=${2:-3}
here=$(dirname "$0")
venv=.build-tests/venv-serverless
begin=$(date +%s)

# The packages are those of the requirements, to the version; a list that has changed makes the environment anew.
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
"$here/../../../Scripts/default-model.sh" "$binary" "${XDG_CACHE_HOME:-$HOME/.cache}/needletail/models"
model=$("$binary" download --quiet)

"$venv/bin/python" "$here/serverless_checks.py" --binary "$binary" --model "$model"
"$venv/bin/python" "$here/two_gateways.py" --binary "$binary" --model "$model"
"$venv/bin/python" "$here/chaos.py" --binary "$binary" --model "$model" --minutes "$minutes" --store sqlite
"$venv/bin/python" "$here/chaos.py" --binary "$binary" --model "$model" --minutes "$minutes" --store postgres --gateways 2
echo "serverless: $(($(date +%s) - begin)) s in all"
