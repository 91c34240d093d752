"""Tiny checkpoints of quantised linear layers, packed by the libraries that write such files, with what these libraries expand them to.

    python make_quantization.py --auto-gptq DIR --autoawq DIR      # unpacked auto-gptq 0.7.1 wheel and autoawq 0.2.9 source archive

Also needs torch, safetensors, transformers, compressed-tensors and bitsandbytes. A folder per configuration: config.json,
model.safetensors, and expected.safetensors with the f32 weight [outputs, inputs] of each module. README.md names the versions used.
"""
import argparse
import importlib.util
import json
import os
import sys
import types

import numpy as np
import torch
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))


def source(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(folder, config, tensors, expected):
    path = os.path.join(HERE, folder)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "config.json"), "w") as file:
        json.dump(config, file, indent=1)
        file.write("\n")
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, os.path.join(path, "model.safetensors"))
    save_file({k: v.float().contiguous().clone() for k, v in expected.items()}, os.path.join(path, "expected.safetensors"))


def affine(generator, bits, outputs, inputs, groups_of):
    """Random codes, zeros from 1 and scales that 16 bits hold. groups_of: group of each input."""
    groups = int(max(groups_of)) + 1
    q = torch.randint(0, 2 ** bits, (outputs, inputs), generator=generator)
    z = torch.randint(1, 2 ** bits, (outputs, groups), generator=generator)
    s = (torch.rand(outputs, groups, generator=generator) * 0.05 + 0.01).half().float()
    g = torch.as_tensor(groups_of)
    return q, z, s, (q - z[:, g]).float() * s[:, g]


def gptq(args):
    quant = source("qlinear_cuda", os.path.join(args.auto_gptq, "auto_gptq/nn_modules/qlinear/qlinear_cuda.py")).QuantLinear
    generator = torch.Generator().manual_seed(1)
    permutation = torch.randperm(64, generator=generator)
    shuffled = torch.empty(64, dtype=torch.int64)
    shuffled[permutation] = torch.arange(64) // 16
    # As act-order with groups fixed beforehand can leave them: 16, 32 and 16 inputs; then sizes that only 1 divides.
    uneven = torch.tensor([0] * 16 + [1] * 32 + [2] * 16)[torch.randperm(64, generator=generator)]
    ragged = torch.tensor([0] * 7 + [1] * 30 + [2] * 27)[torch.randperm(64, generator=generator)]
    plain = torch.arange(64) // 16
    cases = {"two": (2, 16, plain), "three": (3, 16, plain), "four": (4, 16, plain), "eight": (8, 16, plain), "whole": (4, -1, plain * 0),
             "shuffled": (4, 16, shuffled), "shuffled3": (3, 16, shuffled), "shuffled8": (8, 16, shuffled), "uneven": (4, 24, uneven),
             "ragged": (4, 24, ragged)}
    tensors, expected = {}, {}
    for name, (bits, group, index) in cases.items():
        _, z, s, w = affine(generator, bits, 32, 64, index)
        linear = torch.nn.Linear(64, 32, bias=True)
        linear.weight.data, linear.bias.data = w.clone(), torch.zeros(32)
        layer = quant(bits, group, 64, 32, bias=True)
        layer.pack(linear, s.clone(), z.clone().float(), index.to(torch.int32))
        module = "model.layers.0." + name
        for key, value in layer.state_dict().items():
            tensors[f"{module}.{key}"] = value.half() if value.is_floating_point() else value
        expected[module] = w
    config = {"bits": 4, "group_size": 16, "sym": False, "desc_act": True, "quant_method": "gptq", "checkpoint_format": "gptq",
              "dynamic": {r"+:.*\.two$": {"bits": 2}, r"+:.*\.(three|shuffled3)$": {"bits": 3}, r".*eight$": {"bits": 8},
                          r"+:.*shuffled8": {"bits": 8}, r"+:.*\.whole": {"group_size": -1}, r"+:.*(uneven|ragged)": {"group_size": 24},
                          r"-:.*\.mlp\.gate": {}}}
    write("gptq", {"quantization_config": config}, tensors, expected)
    # The second version stores zeros as they are: the same bits mean zeros less one.
    q, z, s, w = affine(generator, 4, 32, 64, plain)
    linear.weight.data = w.clone()
    layer = quant(4, 16, 64, 32, bias=False)
    linear.bias = None
    layer.pack(linear, s.clone(), z.clone().float(), plain.to(torch.int32))
    tensors = {f"model.layers.0.four.{k}": v.half() if v.is_floating_point() else v for k, v in layer.state_dict().items()}
    write("gptq-v2", {"quantization_config": {"bits": 4, "group_size": 16, "sym": False, "quant_method": "gptq", "checkpoint_format": "gptq_v2"}},
          tensors, {"model.layers.0.four": (q - (z[:, plain] - 1)).float() * s[:, plain]})


def awq_gemv(args):
    stub = types.ModuleType("awq.utils.module")
    stub.try_import = lambda name: (None, "")
    sys.modules.update({"awq": types.ModuleType("awq"), "awq.utils": types.ModuleType("awq.utils"), "awq.utils.module": stub})
    layer = source("gemv", os.path.join(args.autoawq, "awq/modules/linear/gemv.py")).WQLinear_GEMV
    generator = torch.Generator().manual_seed(2)
    _, z, s, w = affine(generator, 4, 32, 96, torch.arange(96) // 32)
    linear = torch.nn.Linear(96, 32, bias=False)
    linear.weight.data = w.clone()
    packed = layer.from_linear(linear, 4, 32, scales=s, zeros=z)
    tensors = {f"model.layers.0.up_proj.{k}": v for k, v in packed.state_dict().items()}
    write("awq-gemv", {"quantization_config": {"bits": 4, "group_size": 32, "quant_method": "awq", "version": "gemv", "zero_point": True}},
          tensors, {"model.layers.0.up_proj": w})


def compressed(args):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize
    from compressed_tensors.quantization.utils import calculate_qparams

    generator = torch.Generator().manual_seed(3)
    shuffled = torch.empty(64, dtype=torch.int32)
    shuffled[torch.randperm(64, generator=generator)] = (torch.arange(64) // 16).int()
    cases = {
        "int4": ("pack-quantized", dict(num_bits=4, strategy="group", group_size=16)),
        "int4asym": ("pack-quantized", dict(num_bits=4, strategy="group", group_size=16, symmetric=False)),
        "int4row": ("pack-quantized", dict(num_bits=4, strategy="channel", symmetric=False)),
        "int8": ("pack-quantized", dict(num_bits=8, strategy="channel")),
        "int8asym": ("pack-quantized", dict(num_bits=8, strategy="group", group_size=32, symmetric=False)),
        "int3": ("pack-quantized", dict(num_bits=3, strategy="group", group_size=32)),
        "int2asym": ("pack-quantized", dict(num_bits=2, strategy="group", group_size=32, symmetric=False)),
        "int4order": ("pack-quantized", dict(num_bits=4, strategy="group", group_size=16, actorder="group")),
        "w8asym": ("int-quantized", dict(num_bits=8, strategy="channel", symmetric=False)),
        "w8tensor": ("int-quantized", dict(num_bits=8, strategy="tensor")),
        "fp8row": ("float-quantized", dict(num_bits=8, type="float", strategy="channel")),
        "fp8tensor": ("float-quantized", dict(num_bits=8, type="float", strategy="tensor")),
        "fp8block": ("float-quantized", dict(num_bits=8, type="float", strategy="block", block_structure=[16, 32])),
        "nvfp4": ("nvfp4-pack-quantized", dict(num_bits=4, type="float", strategy="tensor_group", group_size=16)),
        "mxfp4": ("mxfp4-pack-quantized", dict(num_bits=4, type="float", strategy="group", group_size=32)),
        "mxfp8": ("mxfp8-quantized", dict(num_bits=8, type="float", strategy="group", group_size=32)),
    }
    tensors, expected, groups = {}, {}, {}
    for number, (name, (form, settings)) in enumerate(cases.items()):
        # Today's library has given up the group order, but files of older ones have it.
        order = settings.pop("actorder", None)
        qargs = QuantizationArgs(**settings)
        scheme = QuantizationScheme(targets=["Linear"], weights=qargs)
        w = torch.randn(40, 64, generator=generator)
        grouped = w if not order else w[:, torch.argsort(shuffled, stable=True)]
        size = settings.get("group_size")
        if size:
            parts = grouped.reshape(40, -1, size)
            low, high = parts.amin(-1), parts.amax(-1)
        elif settings["strategy"] == "tensor":
            low, high = w.amin().reshape(1), w.amax().reshape(1)
        elif settings["strategy"] == "block":
            # 40 rows in blocks of 16: the last one is ragged.
            low = torch.stack([torch.stack([w[a:a + 16, b:b + 32].amin() for b in range(0, 64, 32)]) for a in range(0, 40, 16)])
            high = torch.stack([torch.stack([w[a:a + 16, b:b + 32].amax() for b in range(0, 64, 32)]) for a in range(0, 40, 16)])
        else:
            low, high = w.amin(1, keepdim=True), w.amax(1, keepdim=True)
        state = {"weight": w}
        extra = {}
        if form.startswith("nvfp4"):
            state["weight_global_scale"] = torch.tensor([448.0 * 6.0]) / w.abs().max()
            extra["global_scale"] = state["weight_global_scale"]
        scale, zero = calculate_qparams(low, high, qargs, **extra)
        if form.startswith("mx"):
            scale = torch.exp2(torch.ceil(torch.log2(torch.maximum(low.abs(), high.abs()) / (6.0 if "fp4" in form else 448.0))))
        state["weight_scale"] = scale.float()
        if not qargs.symmetric:
            state["weight_zero_point"] = zero.to(torch.int8)
        kind = "naive-quantized" if form in ("int-quantized", "float-quantized") else form
        compressor = BaseCompressor.get_value_from_registry(kind)
        module = "model.layers.0." + name
        if order:
            # Groups are of the shuffled columns: quantise sorted, put back. The layout of codes is in the order of the inputs.
            codes = torch.empty(40, 64, dtype=torch.int8)
            at = torch.argsort(shuffled, stable=True)
            codes[:, at] = quantize(grouped, state["weight_scale"], None, qargs, dtype=torch.int8)
            from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
            packed = {"weight_packed": pack_to_int32(codes, 4), "weight_scale": state["weight_scale"], "weight_shape": torch.tensor([40, 64]),
                      "weight_g_idx": shuffled}
            full = codes.float() * state["weight_scale"][:, shuffled.long()]
        else:
            packed = compressor.compress(state, scheme)
            if settings["strategy"] == "block":
                blocks = state["weight_scale"].repeat_interleave(16, 0)[:40].repeat_interleave(32, 1)
                full = packed["weight"].float() * blocks
            else:
                full = compressor.decompress(dict(packed), scheme)["weight"]
            if form.startswith("nvfp4"):
                # The library's result is bf16; this is the same in f32.
                from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
                scale = packed["weight_scale"].float() / packed["weight_global_scale"]
                exact = unpack_fp4_from_uint8(packed["weight_packed"], 40, 64).float() * scale.repeat_interleave(16, 1)
                assert torch.allclose(exact, full.float(), rtol=2e-2)
                full = exact
        for key, value in packed.items():
            tensors[f"{module}.{key}"] = value
        tensors[f"{module}.input_scale"] = torch.tensor([0.5])
        expected[module] = full
        weights = {"num_bits": qargs.num_bits, "type": settings.get("type", "int"), "symmetric": settings.get("symmetric", True),
                   "strategy": settings["strategy"], "group_size": size, "block_structure": settings.get("block_structure"),
                   "actorder": order, "dynamic": False}
        groups[f"group_{number}"] = {"targets": [f"re:.*\\.{name}$"], "weights": weights, "input_activations": None, "output_activations": None,
                                     "format": form}
    # A class catches what no name does; it comes first in the file and last in the search.
    groups = {"group_x": {"targets": ["Linear"], "format": "pack-quantized", "weights": {"num_bits": 8, "type": "int", "strategy": "channel"}},
              **groups}
    write("compressed-tensors", {"quantization_config": {
        "config_groups": groups, "format": "mixed-precision", "ignore": ["lm_head", "re:.*gate$"], "kv_cache_scheme": None,
        "quant_method": "compressed-tensors", "quantization_status": "compressed"}}, tensors, expected)


def bitsandbytes(args):
    import bitsandbytes.functional as F
    from bitsandbytes.backends.default.ops import _dequantize_4bit_compute

    generator = torch.Generator().manual_seed(4)
    tensors, expected = {}, {}
    # name: type, block, nested, outputs, inputs. 96 and 15 inputs make blocks of 64 run over the ends of rows.
    cases = {"nf4": ("nf4", 64, False, 24, 128), "nested": ("nf4", 64, True, 48, 448), "fp4": ("fp4", 64, False, 24, 128),
             "crossing": ("nf4", 64, False, 24, 96), "odd": ("nf4", 64, False, 5, 15), "small": ("nf4", 4096, False, 8, 64)}
    for name, (kind, block, nested, outputs, inputs) in cases.items():
        w = torch.randn(outputs, inputs, generator=generator)
        q, state = F.quantize_4bit(w, blocksize=block, compress_statistics=nested, quant_type=kind)
        module = "model.layers.0." + name
        tensors[f"{module}.weight"] = q
        for key, value in state.as_dict(packed=True).items():
            tensors[f"{module}.weight.{key}"] = value
        # The generic implementation: the library's CPU kernel (0.50) ends blocks with rows, unlike its quantiser and its GPU kernels.
        absmax = state.absmax
        if nested:
            absmax = F.dequantize_blockwise(absmax, state.state2) + state.offset
        expected[module] = _dequantize_4bit_compute(q.reshape(-1), absmax.float(), state.code, block, state.shape, torch.float32)
    write("bitsandbytes-nf4", {"quantization_config": {
        "quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True, "llm_int8_skip_modules": None}}, tensors, expected)
    w = torch.randn(24, 64, generator=generator)
    q, scb, _ = F.int8_vectorwise_quant(w.half())
    write("bitsandbytes-int8", {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": True}},
          {"model.layers.0.int8.weight": q, "model.layers.0.int8.SCB": scb, "model.layers.0.int8.weight_format": torch.tensor(0, dtype=torch.uint8)},
          {"model.layers.0.int8": F.int8_vectorwise_dequant(q, scb)})


parser = argparse.ArgumentParser()
parser.add_argument("--auto-gptq", required=True)
parser.add_argument("--autoawq", required=True)
arguments = parser.parse_args()
for make in (gptq, awq_gemv, compressed, bitsandbytes):
    make(arguments)
