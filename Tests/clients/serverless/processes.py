"""Processes as /proc shows them: who carries a mark in its environment, what a process holds and uses."""
import os
import signal
import time

TICKS = os.sysconf("SC_CLK_TCK")


def environment(pid):
    """Variables a process was started with; empty where they cannot be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = file.read().split(b"\0")
    except OSError:
        return {}
    return dict(pair.decode(errors="replace").split("=", 1) for pair in pairs if b"=" in pair)


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def stat(pid):
    """Fields of /proc/PID/stat from the state on; None for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def alive(pid):
    fields = stat(pid)
    return fields is not None and fields[0] not in "ZX"


def parent(pid):
    fields = stat(pid)
    return int(fields[1]) if fields else None


def started(pid):
    """Start time in clock ticks since boot: with the number it names a process for good."""
    fields = stat(pid)
    return int(fields[19]) if fields else None


def cpu_seconds(pid):
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def resident_bytes(pid):
    """Anonymous resident memory: what the process has taken for itself, without mapped files."""
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def descriptors(pid):
    """Open descriptors: (all, sockets among them)."""
    count = sockets = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        count += 1
        sockets += target.startswith("socket:")
    return count, sockets


def marked(variable, value):
    """Living processes whose environment says VARIABLE=VALUE."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and environment(pid).get(variable) == value and alive(pid)]


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def gone(pids, seconds):
    """Waits until none of the processes lives; returns those that do."""
    limit = time.monotonic() + seconds
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < limit:
        time.sleep(0.05)
    return left
