#pragma once
#include <sys/types.h>

/// Starts a program as the leader of a session (and so of a process group) of its own.
/// - path: the program, looked up nowhere. argv, envp: end with NULL.
/// - directory: its working directory, or NULL for ours.
/// - output: descriptor that becomes its stdout and stderr. stdin is /dev/null. It gets no other descriptor of ours.
/// Signals are at their defaults and unblocked.
/// Returns 0 and sets *pid, or an errno, also where the program cannot be executed.
int nt_spawn(const char *path, char *const argv[], char *const envp[], const char *directory, int output, pid_t *pid);
