/// What activations are rounded to before a matrix product (`--dtype`).
package enum ComputePrecision: String, Sendable, CaseIterable {
    /// By the weights: bfloat16 for bfloat16, 8-bit blocks for GGUF's block types, else float32.
    case auto
    /// Nothing is rounded: weights are widened exactly, all sums are float32.
    case float32
}

/// Element type of cached keys and values (`--kv-cache-dtype`).
package enum KVCacheType: String, Sendable, CaseIterable {
    /// float32 with `--dtype float32`, else bfloat16.
    case auto
    case float32, float16, bfloat16
    /// One byte an element, with a scale for each token and KV head. int8 is the nearer; of the 8-bit floats e4m3 (`fp8` for short)
    /// keeps three bits of a number, e5m2 two.
    case int8, fp8
    case fp8E4M3 = "fp8_e4m3"
    case fp8E5M2 = "fp8_e5m2"
}
