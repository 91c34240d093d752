// Where the calling thread runs: glibc offers these to GNU C only.
#define _GNU_SOURCE
#include "nt_cpu.h"

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>

int nt_current_core(void) { return sched_getcpu(); }

void nt_leave_core(int core) {
    cpu_set_t allowed, others;
    if (core < 0 || core >= CPU_SETSIZE || sched_getcpu() != core) return;
    if (pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed) != 0) return;
    others = allowed;
    CPU_CLR(core, &others);
    if (CPU_COUNT(&others) == 0) return;
    if (pthread_setaffinity_np(pthread_self(), sizeof others, &others) != 0) return;
    pthread_setaffinity_np(pthread_self(), sizeof allowed, &allowed);
}
#else
int nt_current_core(void) { return -1; }
void nt_leave_core(int core) { (void)core; }
#endif
