#!/bin/sh
# Puts a model into an image: bake.sh MODEL OUT
# MODEL: a folder with one GGUF file, or in the hub's layout; empty: $MODEL_NAME is fetched from the hub, or nothing is done where it is empty too.
# OUT: what is to be copied to the image's root; the model under $BASE_PATH and /local_model_args.json, from which a worker learns of it.
# MODEL_REVISION, TOKENIZER_NAME, TOKENIZER_REVISION, QUANTIZATION as in Runpod's images. The hub's token is the build secret HF_TOKEN.
set -eu
given=$1
out=$2
mkdir -p "$out"

quoted() { printf '"%s"' "$(printf %s "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')"; }

# `needletail download` makes the tokenizer's tables, too, under BASE_PATH: a container has nothing else from an earlier start.
# download NAME REVISION: prints the path in the finished image.
download() {
    HF_HUB_CACHE="$out$BASE_PATH/huggingface-cache/hub"
    export HF_HUB_CACHE
    if [ -r /run/secrets/HF_TOKEN ]; then
        HF_TOKEN=$(cat /run/secrets/HF_TOKEN)
        export HF_TOKEN
    fi
    path=$(BASE_PATH="$out$BASE_PATH" needletail download "$1" ${2:+--revision "$2"} --quiet) || exit 1
    printf %s "${path#"$out"}"
}

model=""
if [ -n "$(ls -A "$given" 2>/dev/null)" ]; then
    folder="$BASE_PATH/local"
    mkdir -p "$out$folder"
    if [ -f "$given/config.json" ]; then
        cp -RL "$given/." "$out$folder/"
        BASE_PATH="$out$BASE_PATH" needletail download "$out$folder" --quiet > /dev/null
        model=$folder
    else
        set -- "$given"/*.gguf
        [ $# = 1 ] && [ -f "$1" ] || { echo "bake: the model's folder must hold a config.json or exactly one .gguf file" >&2; exit 1; }
        cp -L "$1" "$out$folder/"
        model="$folder/$(basename "$1")"
    fi
elif [ -n "${MODEL_NAME:-}" ]; then
    model=$(download "$MODEL_NAME" "${MODEL_REVISION:-}") || exit 1
else
    echo "bake: no model was asked for"
    exit 0
fi

tokenizer=""
if [ -n "${TOKENIZER_NAME:-}" ]; then
    tokenizer=$(download "$TOKENIZER_NAME" "${TOKENIZER_REVISION:-}") || exit 1
elif [ "${model%.gguf}" = "$model" ]; then
    tokenizer=$model
fi

{
    printf '{"MODEL_NAME": %s' "$(quoted "$model")"
    [ -z "$tokenizer" ] || printf ', "TOKENIZER_NAME": %s' "$(quoted "$tokenizer")"
    [ -z "${QUANTIZATION:-}" ] || printf ', "QUANTIZATION": %s' "$(quoted "$QUANTIZATION")"
    printf '}\n'
} > "$out/local_model_args.json"
chmod 0644 "$out/local_model_args.json"
find "$out$BASE_PATH" -type d -exec chmod 0755 {} +
find "$out$BASE_PATH" -type f -exec chmod 0644 {} +
[ -z "${RUN_AS:-}" ] || chown -R "$RUN_AS" "$out$BASE_PATH"
echo "bake: $(cat "$out/local_model_args.json")"
