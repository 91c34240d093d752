"""What the measuring scripts share: figures out of samples, processor time of processes, tables."""
import os
import resource
import statistics

import processes


def quantile(values, q):
    """Nearest rank."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, round(q * len(ranked)) - 1))] if ranked else float("nan")


def spread(values):
    """Median with the smallest and largest, for a table."""
    return f"{statistics.median(values):8.1f} ({min(values):.1f} to {max(values):.1f})"


class Processor:
    """Processor time that processes use between two looks. Pids may be functions, for processes that come and go."""

    def __init__(self, **pids):
        self.pids = {"client": None, **pids}
        self.last = {name: self.seconds(name) for name in self.pids}

    def seconds(self, name):
        if name == "client":                            # and what it has run and waited for, such as wrk
            return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
        pids = self.pids[name]() if callable(self.pids[name]) else self.pids[name]
        return sum(processes.cpu_seconds(pid) for pid in (pids if isinstance(pids, list) else [pids]) if pid)

    def since(self, wall):
        """Percent of one core by process, since the last call."""
        now = {name: self.seconds(name) for name in self.pids}
        used = {name: 100 * (now[name] - self.last[name]) / wall for name in self.pids}
        self.last = now
        return used


def percent(used):
    return ", ".join(f"{name} {value:.0f}%" for name, value in used.items())


def hardware():
    with open("/proc/cpuinfo") as file:
        models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{models[0] if models else 'unknown processor'}, {os.cpu_count()} cores"
