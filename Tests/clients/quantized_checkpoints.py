"""Checkpoints made by `needletail quantize`, read by others: the same perplexity as ours says that both read the same weights.

    python quantized_checkpoints.py --binary .build/release/needletail --model FOLDER [--formats q4_k,awq,…]

FOLDER is an unquantised Llama-like model in the hub's layout. Readers: compressed-tensors through Transformers (int8, fp8, w4a16), the gguf
package's dequantisation (GGUF), and the published unpacking formulas (awq, gptq, fp8-block). Weights go into the original model in float32, so
that nothing but the weights differs. Needs torch, transformers, safetensors, gguf, compressed-tensors.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

AWQ_PLACE = [0, 4, 1, 5, 2, 6, 3, 7]        # nibble that holds output 8c + i


FIRST = []                                  # what the tokenizer puts before a text


def nibbles(words, dim):
    """int32 words to 4-bit values along `dim`, lowest first."""
    shifts = torch.arange(0, 32, 4)
    parts = (words.unsqueeze(-1) >> shifts) & 15
    if dim == 1:
        return parts.reshape(words.shape[0], -1)
    return parts.permute(0, 2, 1).reshape(-1, words.shape[1])


def awq(t):
    q = nibbles(t["qweight"], 1).reshape(t["qweight"].shape[0], -1, 8)[:, :, AWQ_PLACE].reshape(t["qweight"].shape[0], -1)
    z = nibbles(t["qzeros"], 1).reshape(t["qzeros"].shape[0], -1, 8)[:, :, AWQ_PLACE].reshape(t["qzeros"].shape[0], -1)
    group = q.shape[0] // z.shape[0]
    return ((q - z.repeat_interleave(group, 0)) * t["scales"].float().repeat_interleave(group, 0)).T


def gptq(t):
    q, z, g = nibbles(t["qweight"], 0), (nibbles(t["qzeros"], 1) + 1) & 15, t["g_idx"].long()
    return ((q - z[g]) * t["scales"].float()[g]).T


def packed(t):
    group = int(t["weight_shape"][1]) // t["weight_scale"].shape[1]
    return (nibbles(t["weight_packed"], 1) - 8) * t["weight_scale"].float().repeat_interleave(group, 1)


def blocks(t):
    rows, columns = t["weight"].shape
    return t["weight"].float() * t["weight_scale_inv"].repeat_interleave(128, 0)[:rows].repeat_interleave(128, 1)[:, :columns]


def hub_weights(folder):
    tensors = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        tensors.update(load_file(path))
    modules = {}
    for name, value in tensors.items():
        module, _, kind = name.rpartition(".")
        modules.setdefault(module, {})[kind] = value
    state = {}
    for module, parts in modules.items():
        if "qweight" in parts:
            state[module + ".weight"] = gptq(parts) if "g_idx" in parts else awq(parts)
        elif "weight_packed" in parts:
            state[module + ".weight"] = packed(parts)
        elif "weight_scale_inv" in parts:
            state[module + ".weight"] = blocks(parts)
        elif "weight_scale" in parts:
            state[module + ".weight"] = parts["weight"].float() * parts["weight_scale"].float()
        else:
            state.update({f"{module}.{kind}": value.float() for kind, value in parts.items()})
    return state


GGUF_NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
}


def gguf_weights(path, config):
    from gguf import GGUFReader
    from gguf.quants import dequantize
    reader, state = GGUFReader(path), {}
    permuted = reader.fields["general.architecture"].contents() == "llama"
    for tensor in reader.tensors:
        weight = torch.from_numpy(np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32))
        name = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}.get(tensor.name)
        if found := re.fullmatch(r"blk\.(\d+)\.(\w+)\.(\w+)", tensor.name):
            name = f"model.layers.{found[1]}.{GGUF_NAMES[found[2]]}.{found[3]}"
            if permuted and found[2] in ("attn_q", "attn_k"):
                heads = config.num_attention_heads if found[2] == "attn_q" else config.num_key_value_heads
                weight = weight.reshape(heads, -1, 2, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)
        if name:
            state[name] = weight
    return state


@torch.no_grad()
def perplexity(model, ids, windows, size=512):
    loss, count, given = 0.0, 0, size - len(FIRST)
    for index in range(min(windows, len(ids) // given)):
        window = torch.tensor([FIRST + ids[index * given:(index + 1) * given]])
        logits = model(window).logits[0, :-1].float().log_softmax(-1)
        picked = logits.gather(1, window[0, 1:, None])[size // 2 - 1:]
        loss, count = loss - picked.sum().item(), count + len(picked)
    return float(np.exp(loss / count))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--text", default=str(pathlib.Path(__file__).parents[2] / "docs" / "ARCHITECTURE.md"))
    parser.add_argument("--formats", default="q8_0,q6_k,q5_k,q4_k,q3_k,q2_k,q4_0,q4_1,q5_0,q5_1,iq4_nl,mxfp4,awq,gptq,w4a16,int8,fp8,fp8-block")
    parser.add_argument("--windows", type=int, default=2)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    ids = tokenizer(pathlib.Path(options.text).read_text(), add_special_tokens=False, verbose=False).input_ids
    if tokenizer.bos_token_id is not None and tokenizer("a").input_ids[0] == tokenizer.bos_token_id:
        FIRST.append(tokenizer.bos_token_id)
    config = AutoConfig.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    original = {name: value.clone() for name, value in model.state_dict().items()}
    print(f"original: reference {perplexity(model, ids, options.windows):.4f}", flush=True)
    failed = 0
    for name in options.formats.split(","):
        is_gguf = name not in ("awq", "gptq", "w4a16", "int8", "fp8", "fp8-block")
        with tempfile.TemporaryDirectory() as folder:
            target = f"{folder}/model" + (".gguf" if is_gguf else "")
            subprocess.run([options.binary, "quantize", options.model, "--to", name, "-o", target, "--quiet"], check=True, stdout=subprocess.PIPE)
            output = subprocess.run(
                [options.binary, "perplexity", target, "--text", options.text, "--windows", str(options.windows), "--dtype", "float32", "--quiet"],
                check=True, capture_output=True, text=True).stdout
            ours = float(output.split()[1])
            model.load_state_dict(original)
            missing = model.load_state_dict(gguf_weights(target, config) if is_gguf else hub_weights(target), strict=False)
            left = [key for key in missing.missing_keys if key != "lm_head.weight"]
            theirs = perplexity(model, ids, options.windows)
            note = ""
            if name in ("int8", "fp8", "w4a16"):
                note = f", through compressed-tensors {read_by_transformers(target, ids, options.windows):.4f}"
            good = not left and abs(ours / theirs - 1) < 1e-3
            failed += not good
            print(f"{'ok  ' if good else 'FAIL'} {name}: needletail {ours:.4f}, reference {theirs:.4f}{note} {left[:3] or ''}", flush=True)
    sys.exit(1 if failed else 0)


def read_by_transformers(folder, ids, windows):
    """The folder as Transformers opens it, its weights expanded by the compressed-tensors library; nan where that is not installed."""
    try:
        from transformers import CompressedTensorsConfig
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, quantization_config=CompressedTensorsConfig(run_compressed=False))
        return perplexity(model.float(), ids, windows)
    except ImportError:
        return float("nan")


if __name__ == "__main__":
    main()
