#!/usr/bin/env python3
"""Serves the embedding and classification fixtures and runs the real `openai` client, and plain HTTP, against them.

    embedding_client.py NEEDLETAIL [FIXTURES_FOLDER]

What comes back is compared with the fixtures' reference outputs: embeddings, class scores, and our own promises (one input or many, text or
ids, float or base64 give the same numbers). One line a model; exit status 1 if anything differs.
"""
import json
import math
import os
import re
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import openai

HERE = os.path.dirname(os.path.abspath(__file__))


def tensors(path):
    """The float32 and int32 tensors of a safetensors file, as lists."""
    with open(path, "rb") as f:
        data = f.read()
    size = struct.unpack("<Q", data[:8])[0]
    found = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__" and entry["dtype"] in ("F32", "I32"):
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            found[name] = list(struct.unpack(f"<{(end - begin) // 4}{'f' if entry['dtype'] == 'F32' else 'i'}", data[begin:end]))
    return found


class Served:
    """A model folder behind `needletail serve` on a free port."""

    def __init__(self, binary, folder):
        self.folder, self.name = folder, os.path.basename(folder)
        self.process = subprocess.Popen(
            [binary, "serve", folder, "--port", "0", "--dtype", "float32", "--kv-cache-dtype", "float32", "--kv-cache-memory", "64MiB",
             "--served-model-name", self.name], stderr=subprocess.PIPE, text=True)
        log = []
        for line in self.process.stderr:
            log.append(line)
            if found := re.search(r"listening on (http://127\.0\.0\.1:\d+)", line):
                self.root = found[1]
                break
        else:
            raise AssertionError("the server did not start:\n" + "".join(log))
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self.client = openai.OpenAI(base_url=self.root + "/v1", api_key="EMPTY", max_retries=0, timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def post(self, path, status=200, **body):
        request = urllib.request.Request(
            self.root + path, json.dumps({"model": self.name, **body}).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                found, text = reply.status, reply.read()
        except urllib.error.HTTPError as error:
            found, text = error.code, error.read()
        assert found == status, f"{path} answered {found}, expected {status}: {text[:300]}"
        return json.loads(text)


def close(got, want, what, tolerance=1e-4):
    assert len(got) == len(want), f"{what}: {len(got)} numbers, expected {len(want)}"
    scale = math.sqrt(sum(x * x for x in want) / len(want))
    worst = max(abs(a - b) for a, b in zip(got, want))
    assert worst <= tolerance * scale, f"{what}: differs by {worst}, the numbers' size is {scale}"


def float32(row):
    """The float32 numbers that these stand for: decimal text has the fewest digits that say which."""
    return struct.unpack(f"<{len(row)}f", struct.pack(f"<{len(row)}f", *row))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def embeddings(s, golden, reference):
    prompts = golden["prompts"]
    want = [reference[f"embedding_{i}"] for i in range(len(prompts))]
    # The client asks for base64 by itself.
    batch = s.client.embeddings.create(model=s.name, input=prompts)
    assert [d.index for d in batch.data] == list(range(len(prompts)))
    assert batch.usage.prompt_tokens == batch.usage.total_tokens == sum(map(len, prompts)), batch.usage
    for got, row in zip(batch.data, want):
        close(got.embedding, row, f"input {got.index}")
    for i, prompt in enumerate(prompts):
        one = s.client.embeddings.create(model=s.name, input=prompt, encoding_format="float")
        assert float32(one.data[0].embedding) == float32(batch.data[i].embedding), "alone and in a batch differ"
    texts = [case["text"] for case in golden["tokenizer_cases"]["encode"] if case["text"]][:4]
    ids = [s.post("/tokenize", prompt=text)["tokens"] for text in texts]
    by_text = s.client.embeddings.create(model=s.name, input=texts)
    by_ids = s.client.embeddings.create(model=s.name, input=ids)
    assert [d.embedding for d in by_text.data] == [d.embedding for d in by_ids.data], "texts and their ids differ"
    # Many at once, from several connections, are what each is alone.
    results = [None] * 8

    def work(place):
        results[place] = [d.embedding for d in s.client.embeddings.create(model=s.name, input=prompts[place % 3:] + texts * 8).data]
    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, rows in enumerate(results):
        assert rows == [d.embedding for d in batch.data][place % 3:] + [d.embedding for d in by_text.data] * 8, "concurrent requests differ"
    scores = s.post("/score", text_1=texts[0], text_2=texts)["data"]
    for entry, row in zip(scores, by_text.data):
        assert abs(entry["score"] - cosine(by_text.data[0].embedding, row.embedding)) < 1e-5, scores
    ranked = s.post("/v1/rerank", query=texts[0], documents=texts)["results"]
    assert ranked[0]["document"]["text"] == texts[0] and abs(ranked[0]["relevance_score"] - 1) < 1e-5, ranked
    assert len(s.post("/pooling", input=[prompts[1]], task="token_embed")["data"][0]["data"]) == len(prompts[1])
    try:
        s.client.embeddings.create(model=s.name, input="a", dimensions=8)
        raise AssertionError("dimensions were accepted")
    except openai.BadRequestError as error:
        assert error.body["param"] == "dimensions", error.body
    return f"{len(prompts)} embeddings of {len(want[0])}"


def classes(s, golden, reference):
    prompts = golden["prompts"]
    want = [reference[f"class_logits_{i}"] for i in range(len(prompts))]
    if "second_segments" not in golden:
        raw = s.post("/classify", input=prompts, use_activation=False)["data"]
        for entry, row in zip(raw, want):
            close(entry["probs"], row, f"input {entry['index']}", 1e-3)
        labels = json.load(open(os.path.join(s.folder, "config.json")))["id2label"]
        for entry, row in zip(s.post("/classify", input=prompts)["data"], want):
            total = sum(map(math.exp, row))
            close(entry["probs"], [math.exp(x) / total for x in row], "probabilities", 1e-3)
            assert entry["num_classes"] == len(row) and entry["label"] == labels[str(row.index(max(row)))], entry
        s.post("/v1/embeddings", 404, input="a")
        return f"{len(prompts)} texts, {len(want[0])} classes"
    # A cross-encoder: pairs of texts, in any company.
    texts = [case["text"] for case in golden["tokenizer_cases"]["encode"] if case["text"]][:4]
    together = [d["score"] for d in s.post("/score", text_1=texts[0], text_2=texts)["data"]]
    alone = [s.post("/v1/score", queries=texts[0], documents=text)["data"][0]["score"] for text in texts]
    assert together == alone and len(set(together)) == len(texts), (together, alone)
    ranked = s.post("/v2/rerank", query=texts[0], documents=texts, top_n=2)["results"]
    assert [r["relevance_score"] for r in ranked] == sorted(together, reverse=True)[:2], ranked
    return f"{len(texts)} pairs"


def main():
    binary = sys.argv[1]
    fixtures = sys.argv[2] if len(sys.argv) > 2 else os.path.join(HERE, "../Fixtures/models")
    failed = 0
    for name in sorted(os.listdir(fixtures)):
        folder = os.path.join(fixtures, name)
        try:
            golden = json.load(open(os.path.join(folder, "golden.json")))
        except OSError:
            continue
        if golden.get("kind") != "embedding":
            continue
        try:
            with Served(binary, folder) as s:
                reference = tensors(os.path.join(folder, "golden.safetensors"))
                what = classes(s, golden, reference) if "class_logits_0" in reference else embeddings(s, golden, reference)
                try:
                    s.client.chat.completions.create(model=s.name, messages=[{"role": "user", "content": "Hello"}])
                    raise AssertionError("chat was accepted")
                except openai.NotFoundError as error:
                    assert error.body["code"] == 404, error.body
            print(f"ok   {name} ({what})", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
