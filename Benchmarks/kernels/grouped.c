// Grouped codes against bfloat16, turn by turn on two threads, so that a busy machine disturbs both alike.
// One line a form, shape and height: rows of weight per second, and how many times bfloat16's that is.
#include "grouped.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 2 };

struct form {
    const char *name;
    nt_code code;
    size_t group;
    bool zeros, whole;   // whole: a table of whole numbers
    bool exact;          // multiplied in float32
    nt_type scales;
};
static const struct form forms[] = {
    {"uint4 g128 zeros", NT_CODE_UINT4, 128, true, false, false, NT_F16},
    {"uint4 g128", NT_CODE_UINT4, 128, false, false, false, NT_F16},
    {"uint4 g32", NT_CODE_UINT4, 32, false, false, false, NT_F16},
    {"uint4 g16", NT_CODE_UINT4, 16, false, false, false, NT_F16},
    {"mxfp4", NT_CODE_TABLE4, 32, false, true, false, NT_BF16},
    {"int8 row", NT_CODE_INT8, 1 << 30, false, false, false, NT_F32},
    {"int8 g128", NT_CODE_INT8, 128, false, false, false, NT_F16},
    {"float8 row", NT_CODE_FLOAT8, 1 << 30, false, false, false, NT_F32},
    {"float8 g128", NT_CODE_FLOAT8, 128, false, false, false, NT_F32},
    {"nf4 g64", NT_CODE_TABLE4, 64, false, false, false, NT_F32},
    {"uint4 g128 f32", NT_CODE_UINT4, 128, false, false, true, NT_F16},
    {"float8 row f32", NT_CODE_FLOAT8, 1 << 30, false, false, true, NT_F32},
};

static uint32_t seed = 7;
static uint32_t next(void) { return seed = seed * 1664525u + 1013904223u; }

static void *room(size_t bytes) {
    void *p = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!p) { fprintf(stderr, "out of memory\n"); exit(1); }
    memset(p, 0, bytes);
    return p;
}

/// A weight in memory several times over, so that short batches stream it as a model's layers do.
struct weight {
    nt_linear_args args;
    nt_grouped plan;
    char *memory;
    size_t bytes, copies;
    double pack_seconds;   // of one thread
};

static char *activations(nt_act act, const float *x, size_t m, size_t k, size_t *stride) {
    *stride = act == NT_ACT_F32 ? 4 * k : act == NT_ACT_BF16 ? 2 * k : nt_q8_row_bytes(k);
    char *rows = room(m * *stride);
    if (act == NT_ACT_F32) memcpy(rows, x, 4 * m * k);
    else if (act == NT_ACT_BF16) nt_f32_to_bf16(x, (uint16_t *)(void *)rows, m * k);
    else nt_quantize_rows_q8(x, k, m, k, rows, *stride);
    return rows;
}

static struct weight make(const struct form *form, size_t n, size_t k, size_t budget) {
    struct weight w = {.args = {.n = n, .k = k, .y_stride = n}};
    size_t stored_bytes = 2 * n * k, groups = form ? (k + form->group - 1) / form->group : 0;
    uint8_t *stored = room(stored_bytes);
    for (size_t i = 0; i < stored_bytes; i++) stored[i] = (uint8_t)(next() >> 24 & 0x3f);
    if (!form) {
        w.args.w_type = NT_BF16;
        w.args.x_type = NT_ACT_BF16;
        w.bytes = stored_bytes;
    } else {
        static const float e2m1[16] = {0, .5f, 1, 1.5f, 2, 3, 4, 6, 0, -.5f, -1, -1.5f, -2, -3, -4, -6};
        static float uneven[16];
        for (int i = 0; i < 16; i++) uneven[i] = (float)i * 0.1317f - 1;
        float *scales = room(4 * n * groups), *zeros = room(4 * n * groups);
        for (size_t i = 0; i < n * groups; i++) {
            scales[i] = form->scales == NT_F32 ? 0.01f + (float)(next() >> 20) * 1e-7f : form->scales == NT_BF16 ? 0x1p-20f * (float)(1 << (next() >> 29)) : 0x1p-7f;
            zeros[i] = (float)(next() >> 28);
        }
        nt_grouped_source source = {.code = form->code, .n = n, .k = k, .group = form->group, .codes = stored, .scales = scales,
                                    .zeros = form->zeros ? zeros : NULL, .table = form->whole ? e2m1 : uneven};
        if (!nt_grouped_plan(&source, &w.plan)) exit(1);
        w.bytes = nt_grouped_bytes(&w.plan, n, k);
        uint8_t *packed = room(w.bytes);
        struct timespec t0, t1;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
        nt_grouped_pack(&source, &w.plan, packed, 0, nt_panels(n));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
        w.pack_seconds = (double)(t1.tv_sec - t0.tv_sec) + 1e-9 * (double)(t1.tv_nsec - t0.tv_nsec);
        w.args.x_type = form->exact ? NT_ACT_F32 : nt_grouped_activation(&w.plan);
        free(stored); free(scales); free(zeros);
        stored = packed;
    }
    w.copies = budget / w.bytes + 1;
    w.memory = room(w.copies * w.bytes);
    for (size_t c = 0; c < w.copies; c++) memcpy(w.memory + c * w.bytes, stored, w.bytes);
    free(stored);
    return w;
}

struct job {
    struct weight *w;
    size_t turn, calls, begin, end;
    double seconds;
};
static pthread_barrier_t start;
static void *work(void *pointer) {
    struct job *j = pointer;
    nt_linear_args a = j->w->args;
    a.n_begin = j->begin;
    a.n_end = j->end;
    a.scratch_bytes = a.grouped ? nt_grouped_scratch_bytes(a.grouped, a.x_type, a.m, a.k) : 0;
    a.scratch = a.scratch_bytes ? room(a.scratch_bytes) : NULL;
    struct timespec t0, t1;
    pthread_barrier_wait(&start);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
    for (size_t i = 0; i < j->calls; i++) {
        a.w = j->w->memory + (j->turn + i) % j->w->copies * j->w->bytes;
        nt_linear(&a);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
    free(a.scratch);
    j->seconds = (double)(t1.tv_sec - t0.tv_sec) + 1e-9 * (double)(t1.tv_nsec - t0.tv_nsec);
    return NULL;
}
/// Seconds of core time that a call takes, the slower thread's.
static double run(struct weight *w, size_t calls, size_t turn) {
    struct job jobs[THREADS];
    pthread_t threads[THREADS];
    size_t share = w->args.n / THREADS / 16 * 16;
    for (size_t t = 0; t < THREADS; t++) {
        jobs[t] = (struct job){w, turn, calls, t * share, t + 1 == THREADS ? w->args.n : (t + 1) * share, 0};
        pthread_create(&threads[t], NULL, work, &jobs[t]);
    }
    double slowest = 0;
    for (size_t t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        if (jobs[t].seconds > slowest) slowest = jobs[t].seconds;
    }
    return slowest / (double)calls;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void bench_grouped(const char *only) {
    static const size_t shapes[][2] = {{2048, 2048}, {8192, 2048}}, heights[] = {1, 4, 16, 512};
    enum { ROUNDS = 15 };
    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t s = 0; s < 2; s++) {
        size_t n = shapes[s][0], k = shapes[s][1];
        float *x = room(4 * 512 * k), *y = room(4 * 512 * n);
        for (size_t i = 0; i < 512 * k; i++) x[i] = (float)(next() >> 8) / 8388608.0f - 1.0f;
        struct weight base = make(NULL, n, k, (size_t)160 << 20);
        base.args.x = activations(NT_ACT_BF16, x, 512, k, &base.args.x_stride);
        base.args.y = y;
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
            struct weight w = make(&forms[i], n, k, (size_t)160 << 20);
            w.args.grouped = &w.plan;
            w.args.x = activations(w.args.x_type, x, 512, k, &w.args.x_stride);
            w.args.y = y;
            char line[96];
            snprintf(line, sizeof line, "grouped %s pack n=%zu k=%zu", forms[i].name, n, k);
            if (!only || strstr(line, only)) printf("%-44s %8.1f million weights a second\n", line, 1e-6 * (double)(n * k) / w.pack_seconds);
            for (size_t h = 0; h < sizeof heights / sizeof *heights; h++) {
                size_t m = heights[h];
                char name[96];
                snprintf(name, sizeof name, "grouped %s m=%zu n=%zu k=%zu", forms[i].name, m, n, k);
                if (only && !strstr(name, only)) continue;
                size_t calls = m >= 32 ? 1 : ((size_t)96 << 20) / (n * k * 2) / (m > 2 ? 2 : 1) + 1;
                double times[2][ROUNDS], ratios[ROUNDS];
                w.args.m = base.args.m = m;
                for (size_t round = 0; round < ROUNDS; round++) {
                    times[0][round] = run(&base, calls, round * calls);
                    times[1][round] = run(&w, calls, round * calls);
                    ratios[round] = times[0][round] / times[1][round];
                }
                qsort(times[0], ROUNDS, sizeof(double), ascending);
                qsort(times[1], ROUNDS, sizeof(double), ascending);
                qsort(ratios, ROUNDS, sizeof(double), ascending);
                double t = times[1][ROUNDS / 4];
                printf("%-44s %5.2f bits %8.1f GB/s %8.1f Gop/s   x bf16: %.2f (median) %.2f (quartiles)\n", name,
                       8 * (double)w.bytes / (double)(n * k), (double)w.bytes / t / 1e9, 2e-9 * (double)(m * n * k) / t,
                       ratios[ROUNDS / 2], times[0][ROUNDS / 4] / t);
                fflush(stdout);
            }
            free(w.memory);
            free((void *)w.args.x);
        }
        free(base.memory); free((void *)base.args.x); free(x); free(y);
    }
}
