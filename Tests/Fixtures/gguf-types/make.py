"""Writes blocks.bin: random blocks of every GGUF block type and what the gguf package dequantises them to.

    pip install gguf==0.19.0 numpy && python make.py

A record a type, little-endian: u32 type, u32 bytes, u32 elements, the bytes, f32 [elements]. Two types are newer than the package's
readers and are spelled out here: Q1_0 (128 signs) and Q2_0 (64 codes 0...3, minus one), as ggml's dequantize_row_q1_0 and _q2_0.
"""
import struct
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize

HALVES = {  # where a block has half-precision scales: random bits there would often be infinite
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q8_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ1_S": [0], "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0],
    "IQ3_S": [0], "IQ4_NL": [0], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64], "Q1_0": [0], "Q2_0": [0],
}
SIZES = {"Q1_0": (128, 18), "Q2_0": (64, 18), "Q8_1": (32, 36)}
NUMBERS = {"Q2_0": 42}
TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS",
         "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "IQ1_M", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4", "Q1_0", "Q2_0"]
rng = np.random.default_rng(20261123)


def expand(name, blocks):
    d = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    if name == "Q1_0":
        return np.where(np.unpackbits(blocks[:, 2:], axis=1, bitorder="little") == 1, d, -d)
    if name == "Q2_0":
        return d * ((blocks[:, 2:, None] >> np.array([0, 2, 4, 6], np.uint8) & 3).astype(np.float32) - 1).reshape(len(blocks), -1)
    if name == "Q8_1":
        return d * blocks[:, 4:].view(np.int8).astype(np.float32)
    if name == "Q8_K":
        return blocks[:, :4].copy().view(np.float32) * blocks[:, 4:260].view(np.int8).astype(np.float32)
    return dequantize(blocks, T[name])


with open("blocks.bin", "wb") as out:
    for name in TYPES:
        number = NUMBERS.get(name) or T[name].value
        elements, size = SIZES.get(name) or GGML_QUANT_SIZES[T[name]]
        count = max(2, 128 // elements)
        blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
        for at in HALVES.get(name, []):
            blocks[:, at:at + 2] = rng.normal(0, 0.02, (count, 1)).astype(np.float16).view(np.uint8)
        if name == "Q8_K":
            blocks[:, :4] = rng.normal(0, 0.02, (count, 1)).astype(np.float32).view(np.uint8)
        if name == "IQ1_M":  # the half is spread over the upper nibbles of four scale words
            words = blocks[:, 48:56].copy().view(np.uint16)
            half = rng.normal(0, 0.02, (count, 1)).astype(np.float16).view(np.uint16)
            words = (words & 0x0FFF) | ((half >> np.array([0, 4, 8, 12], np.uint16) & 15) << 12).astype(np.uint16)
            blocks[:, 48:56] = words.view(np.uint8)
        if name == "MXFP4":
            blocks[:2, 0] = [0, 1]  # subnormal scales
            blocks[2:, 0] = rng.integers(110, 130, count - 2)
        values = np.asarray(expand(name, blocks), np.float32).reshape(-1)
        assert values.size == count * elements and np.isfinite(values).all(), name
        out.write(struct.pack("<III", number, blocks.size, values.size) + blocks.tobytes() + values.tobytes())
