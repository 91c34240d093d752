#!/bin/sh
# Says whether the container is well: asks the server or the gateway, if it runs one. A worker's health is its ping to the gateway, so that
# here its life is enough. HEALTHCHECK_URL names another address.
set -eu
url=${HEALTHCHECK_URL:-}
if [ -z "$url" ]; then
    # tini -- needletail COMMAND …
    case " $(tr '\0' ' ' < /proc/1/cmdline)" in
        *needletail\ serve*) url="http://127.0.0.1:${PORT:-8000}/health" ;;
        *needletail\ gateway*) url="http://127.0.0.1:${PORT:-8080}/ping" ;;
        *) exit 0 ;;
    esac
fi
# No -T: Debian's busybox 1.35 ends with a segmentation fault at it. The caller has a time limit.
exec wget -q -O /dev/null "$url"
