/// Norms, activations and sums over row ranges, f32 in.
/// `nt_out` says how a fused kernel writes its rows, so that the next matrix product needs no second pass.
#ifndef NT_ELEMENTWISE_H
#define NT_ELEMENTWISE_H

#include "nt_types.h"
#include "nt_linear.h"

/// Destination rows: f32, bf16 or q8 (nt_quantize.h). stride is in bytes. May be the source itself for f32.
typedef struct {
    void *rows;
    size_t stride;
    nt_act type;
} nt_out;

/// y = x / sqrt(mean(x²) + eps) * (weight_offset + weight). x [rows, k] (stride in floats), weight f32 [k] or NULL (= 1).
/// weight_offset is 0, or 1 for the (1 + w) flavour.
void nt_rms_norm(const float *x, size_t x_stride, size_t rows, size_t k,
                 const float *weight, float weight_offset, float eps, nt_out out);
/// y = (x - mean) / sqrt(var + eps) * weight + bias; weight and bias f32 [k] or NULL.
void nt_layer_norm(const float *x, size_t x_stride, size_t rows, size_t k,
                   const float *weight, const float *bias, float eps, nt_out out);

typedef enum {
    NT_SILU = 0,       ///< x * sigmoid(x)
    NT_GELU_TANH = 1,  ///< 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x³)))
    NT_GELU_ERF = 2,   ///< 0.5 x (1 + erf(x / sqrt 2))
    NT_RELU = 3,
    NT_RELU2 = 4,      ///< relu(x)²
    NT_SIGMOID = 5,
    NT_TANH = 6,
    NT_IDENTITY = 7,
    NT_GELU_QUICK = 8, ///< x * sigmoid(1.702 x)
} nt_activation;

/// out[r, 0..<k] = f(gate[r]) * up[r]; up NULL = 1 (plain activation). Strides in floats; gate and up may be the two
/// halves of one [rows, 2k] matrix. `out` may be gate or up itself (f32).
void nt_activate(nt_activation f, const float *gate, size_t gate_stride, const float *up, size_t up_stride,
                 size_t rows, size_t k, nt_out out);

/// out = (clamp(up, ±limit) + 1) * g * sigmoid(alpha g) with g = min(gate, limit); up NULL = 0. Otherwise as nt_activate.
void nt_activate_clamped(float alpha, float limit, const float *gate, size_t gate_stride, const float *up, size_t up_stride,
                         size_t rows, size_t k, nt_out out);

/// y[i] += x[i].
void nt_add(float *y, const float *x, size_t count);
/// y[i] += factor * x[i].
void nt_add_scaled(float *y, const float *x, float factor, size_t count);
/// y[i] = x[i] * factor. y may be x.
void nt_scale(float *y, const float *x, float factor, size_t count);
/// y[i] *= x[i].
void nt_multiply(float *y, const float *x, size_t count);
/// x[i] = cap * tanh(x[i] / cap).
void nt_softcap(float *x, float cap, size_t count);
/// x[i] = min(max(x[i], -limit), limit); NaN stays.
void nt_clamp(float *x, float limit, size_t count);
/// Writes f32 rows as `out` says (copy, bf16 or q8).
void nt_store_rows(const float *x, size_t x_stride, size_t rows, size_t k, nt_out out);
/// In place softmax of each row; x [rows, k]. A row of -inf becomes zeros.
void nt_softmax_rows(float *x, size_t x_stride, size_t rows, size_t k);

#endif
