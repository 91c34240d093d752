#!/bin/bash
# Builds and tries the container image on a Debian machine without a container engine, a registry or the right to make cgroups.
# Needs root (debootstrap, chroot, unshare) and Debian's buildah, debootstrap, python3.
# usage: Scripts/image.sh [base] [build] [bake] [hub] [run] [sizes]     all of them, in this order, without arguments
#   base    debootstrap's bookworm, slimmed as Debian's own image is, as localhost/debian:bookworm-slim
#   build   deploy/docker/Dockerfile with the binary of `make build`, as localhost/needletail (target runtime)
#   bake    the default model into it, as localhost/needletail-smollm2 (target worker)
#   hub     a gated model of a hub on 127.0.0.1 baked in, with the token as a build secret; fails if the token is found in the image
#   run     the baked image's own files, entry point and user in a chroot without network but loopback: does it answer?
#   sizes   of the layers of localhost/needletail; fails above 150 MB
# WORK (default: in the cache folder, beside the models) keeps the images. BINARY: another needletail than .build/release/needletail.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${WORK:-${XDG_CACHE_HOME:-$HOME/.cache}/needletail/images}
binary=${BINARY:-.build/release/needletail}
models=${XDG_CACHE_HOME:-$HOME/.cache}/needletail/models
limit=150000000

[ "$(id -u)" = 0 ] || { echo "image.sh: run it as root" >&2; exit 1; }
for program in buildah debootstrap; do
    command -v $program > /dev/null || { echo "image.sh: apt-get install buildah debootstrap" >&2; exit 1; }
done
mkdir -p "$work"
b() { buildah --storage-driver vfs --root "$work/store" --runroot "$work/run" "$@"; }
bud() { b bud --isolation chroot --format docker --layers --build-arg RUNTIME_IMAGE=localhost/debian:bookworm-slim -f deploy/docker/Dockerfile "$@" .; }

base() {
    [ -e "$work/base.tar" ] || {
        rm -rf "$work/base"
        debootstrap --variant=minbase bookworm "$work/base" > "$work/debootstrap.log"
        (cd "$work/base" && rm -rf var/cache/apt/archives/*.deb var/cache/apt/*.bin var/lib/apt/lists/* usr/share/man/* usr/share/info/* \
            usr/share/locale/* usr/share/lintian var/log/*.log var/log/apt/*)
        tar -C "$work/base" -cf "$work/base.tar" .
    }
    mkdir -p "$work/context"
    ln -f "$work/base.tar" "$work/context/base.tar"
    printf 'FROM scratch\nADD base.tar /\nCMD ["bash"]\n' > "$work/context/Dockerfile"
    b bud --isolation chroot -t localhost/debian:bookworm-slim "$work/context"
}

# A folder with nothing but the binary: a build context is copied whole.
prebuilt() {
    rm -rf "$work/prebuilt" && mkdir "$work/prebuilt"
    cp "$binary" "$work/prebuilt/needletail"
}

build() {
    prebuilt
    bud --build-arg BINARY=prebuilt --build-context prebuilt="$work/prebuilt" --target runtime -t localhost/needletail
}

bake() {
    Scripts/default-model.sh "$binary" "$models"
    rm -rf "$work/model" && mkdir "$work/model"
    local found=("$models"/SmolLM2-135M-Instruct*.gguf)
    ln "${found[0]}" "$work/model/" 2> /dev/null || cp "${found[0]}" "$work/model/"
    [ -d "$work/prebuilt" ] || prebuilt
    bud --build-arg BINARY=prebuilt --build-context prebuilt="$work/prebuilt" --build-context model="$work/model" \
        --build-arg MODEL_NAME=SmolLM2-135M-Instruct --target worker -t localhost/needletail-smollm2
}

hub() {
    local token server port said container root status=0
    token=hf_$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    rm -rf "$work/hub.port" "$work/hub.port.refused" "$work/hub"
    python3 Scripts/image_hub.py Tests/Fixtures/models/yi Org/Gated "$token" "$work/hub.port" &
    server=$!
    until [ -s "$work/hub.port" ]; do sleep 0.1; done
    port=$(cat "$work/hub.port")
    (umask 077; printf %s "$token" > "$work/hub.token")
    [ -d "$work/prebuilt" ] || prebuilt
    local arguments=(--build-arg BINARY=prebuilt --build-context prebuilt="$work/prebuilt" --build-arg MODEL_NAME=Org/Gated
        --build-arg HF_ENDPOINT="http://127.0.0.1:$port" --target worker -t localhost/needletail-gated)
    # What the bake says is no proof: buildah's chroot now and then loses the last lines of a command that fails.
    if bud "${arguments[@]}" > "$work/hub.log" 2>&1; then
        echo "image.sh: a gated model was baked without a token" >&2; status=1
    elif [ ! -s "$work/hub.port.refused" ]; then
        echo "image.sh: without a token the bake failed for another reason than the hub's refusal: $work/hub.log" >&2; status=1
    fi
    said=$(HF_ENDPOINT="http://127.0.0.1:$port" HF_HUB_CACHE="$work/hub" HF_TOKEN= "$binary" download Org/Gated --quiet 2>&1) || true
    [[ $said == *"give a token of that account"* ]] || { echo "image.sh: a download without a token says: $said" >&2; status=1; }
    bud "${arguments[@]}" --secret id=HF_TOKEN,src="$work/hub.token" || status=1
    kill "$server"
    [ $status = 0 ] || exit 1
    container=$(b from localhost/needletail-gated)
    root=$(b mount "$container")
    cat "$root/local_model_args.json"
    ls "$root$(sed 's/.*"MODEL_NAME": "\([^"]*\)".*/\1/' "$root/local_model_args.json")/config.json" > /dev/null
    ls "$root"/models/needletail/tokenizers/*.tables > /dev/null
    b inspect --type image localhost/needletail-gated > "$work/hub.json"
    if grep -rqF "$token" "$root" "$work/hub.json"; then echo "image.sh: the token is in the image" >&2; status=1; fi
    b umount "$container" > /dev/null
    b rm "$container" > /dev/null
    rm -f "$work/hub.token"
    [ $status = 0 ] || exit 1
    echo "the token is in no file and no setting of the image"
}

# What a container engine would do with the image, without cgroups and seccomp: its files, its user, its entry point, name spaces of its own.
run() {
    local container root
    container=$(b from localhost/needletail-smollm2)
    root=$(b mount "$container")
    trap 'b umount "$container" > /dev/null; b rm "$container" > /dev/null' RETURN
    echo "/local_model_args.json: $(cat "$root/local_model_args.json")"
    b inspect --type image localhost/needletail-smollm2 > "$work/image.json"
    IMAGE_ROOT=$root IMAGE_JSON=$work/image.json \
        unshare --net --mount --pid --fork --kill-child --mount-proc="$root/proc" -- bash -c \
        "set -e
        mount -t tmpfs tmpfs '$root/dev'
        for device in null zero full random urandom; do touch '$root/dev/'\$device; mount --bind /dev/\$device '$root/dev/'\$device; done
        ip link set lo up 2> /dev/null || python3 Scripts/image_run.py loopback
        exec python3 Scripts/image_run.py try"
}

sizes() {
    local container root
    container=$(b from localhost/needletail)
    root=$(b mount "$container")
    local bytes
    bytes=$(du -s --apparent-size --block-size=1 "$root" | cut -f1)
    echo "files: $(du -sh --apparent-size "$root/usr/local/bin/needletail" | cut -f1) binary, $(du -sh --apparent-size --exclude=needletail "$root" | cut -f1) everything else"
    b umount "$container" > /dev/null
    b rm "$container" > /dev/null
    b push -q localhost/needletail "oci-archive:$work/needletail.tar" > /dev/null
    echo "all layers: $((bytes / 1000000)) MB; as pulled (gzip): $(($(stat -c %s "$work/needletail.tar") / 1000000)) MB"
    rm -f "$work/needletail.tar"
    [ "$bytes" -lt "$limit" ] || { echo "image.sh: above $((limit / 1000000)) MB" >&2; exit 1; }
}

steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(base build bake hub run sizes)
for step in "${steps[@]}"; do
    case $step in
        base|build|bake|hub|run|sizes) echo "== $step"; $step ;;
        *) echo "image.sh: no step '$step'" >&2; exit 1 ;;
    esac
done
