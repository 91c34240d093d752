"""Times the `tokenizers` library and ours on the same documents, one thread each, and prints MB/s of both and the ratio.

    pip install tokenizers==0.23.3
    swift build -c release --product tokenizer-bench
    python Benchmarks/tokenizers/bench.py --ours .build/release/tokenizer-bench TEXT FOLDER...
"""
import argparse
import gzip
import os
import subprocess
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
from tokenizers import Tokenizer  # noqa: E402


def documents(path):
    out, current = [], ""
    for line in open(path, encoding="utf-8", newline="").read().split("\n"):
        current += line + "\n"
        if len(current.encode()) >= 4096:
            out.append(current)
            current = ""
    return out + [current] if current else out


def best(body, times=3):
    found = []
    for _ in range(times):
        start = time.perf_counter()
        result = body()
        found.append(time.perf_counter() - start)
    return min(found), result


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--ours", required=True)
    ap.add_argument("text")
    ap.add_argument("folders", nargs="+")
    a = ap.parse_args()
    texts = documents(a.text)
    size = sum(len(t.encode()) for t in texts) / 1e6
    print(f"{'':18} {'load ms':>15} {'encode MB/s':>22} {'decode MB/s':>22}")
    for folder in a.folders:
        path = os.path.join(folder, "tokenizer.json")
        raw = open(path, "rb").read() if os.path.exists(path) else gzip.open(path + ".gz").read()
        load, tok = best(lambda: Tokenizer.from_buffer(raw), 1)
        tok.no_truncation()
        tok.no_padding()
        encode, ids = best(lambda: [tok.encode(t, add_special_tokens=False).ids for t in texts])
        decode, _ = best(lambda: [tok.decode(i, skip_special_tokens=False) for i in ids])
        ours = subprocess.run([a.ours, "speed", a.text, folder], capture_output=True, text=True, check=True).stdout.split()
        n = {ours[i]: float(ours[i + 1]) for i in range(1, len(ours) - 1, 2)}
        same = "" if n["tokens"] == sum(map(len, ids)) else "  TOKEN COUNTS DIFFER"
        e, d = size / encode, size / decode
        print(f"{ours[0]:18} {n['load']:6.0f} /{load * 1000:6.0f}   {n['encode']:7.1f} /{e:6.1f} = {n['encode'] / e:4.1f}x"
              f"   {n['decode']:7.1f} /{d:6.1f} = {n['decode'] / d:4.1f}x{same}", flush=True)


main()
