#!/bin/sh
# Decode and prefill of models side by side: quantised.sh BINARY ROUNDS MODEL…
# Decode is (outputs - 1) / (latency of 64 outputs - latency of 1), prefill 512 / latency of 512 in and 1 out; both in tokens a second.
set -eu
binary=$1; rounds=$2; shift 2

seconds() {
    "$binary" bench latency --model "$1" --batch-size 1 --input-len "$2" --output-len "$3" --num-iters 3 --num-iters-warmup 1 2>/dev/null \
        | awk '/^Avg latency/ { print $3 }'
}

for round in $(seq "$rounds"); do
    for model in "$@"; do
        prefill=$(seconds "$model" 512 1); first=$(seconds "$model" 16 1); all=$(seconds "$model" 16 64)
        awk -v m="$model" -v p="$prefill" -v f="$first" -v a="$all" \
            'BEGIN { printf "%-50s decode %6.1f tok/s   prefill %6.0f tok/s\n", m, 63 / (a - f), 512 / p }'
    done
done
