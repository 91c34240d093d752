/// Which instruction set the kernels use, and the spin-wait hint.
#ifndef NT_CPU_H
#define NT_CPU_H

/// Levels in rising order; each contains the ones before it.
typedef enum {
    NT_ISA_PORTABLE = 0,     ///< plain C vectors: SSE2 on x86-64, NEON on arm64
    NT_ISA_AVX2 = 1,         ///< AVX2 + FMA + F16C
    NT_ISA_AVX512 = 2,       ///< AVX-512 F/BW/DQ/VL + VNNI
    NT_ISA_AVX512_BF16 = 3,  ///< the same + AVX512_BF16
} nt_isa;

/// Detects the CPU and fills the kernel table with its best level. Runs by itself when the program is loaded; calling
/// it again is harmless, from several threads too.
void nt_kernels_init(void);

/// The level in use now.
nt_isa nt_cpu_isa(void);
/// The best level of this machine.
nt_isa nt_cpu_best_isa(void);
/// Uses `level`, or the best level of this machine if that is lower; returns the level now in use.
/// Not to be called while kernels run on other threads. Packed weights stay valid: layouts do not depend on the level.
nt_isa nt_set_isa(nt_isa level);
/// "portable", "avx2", "avx512", "avx512-bf16".
const char *nt_isa_name(nt_isa level);

/// Number of the core that runs the calling thread, as the kernel counts; -1 where it does not tell.
int nt_current_core(void);
/// Moves the calling thread to another core that it may use, if it runs on `core` and there is one. Which cores it may use stays as it was.
void nt_leave_core(int core);

/// One turn of a spin loop.
static inline void nt_cpu_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

#endif
