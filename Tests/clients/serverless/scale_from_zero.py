#!/usr/bin/env python3
"""How long the first token takes when no worker is up, in parts; and whether going up and down again leaves anything behind.

    scale_from_zero.py --binary .build/release/needletail [--model PATH] [--repeats 20] [--cycles 100] [--cold-file] [--store URL] [--json FILE]

A repeat: no worker, POST /run of a streaming job, the first token by /stream; then the worker is idle, is stopped, and all is as before. With
--cycles so many repeats are made and the gateway's descriptors, sockets, memory, table rows and files are compared between the tenth and the
last. --cold-file has the system forget the model file's pages before each repeat (other users of the file keep theirs).
"""
import argparse
import json
import os
import sqlite3
import statistics
import sys
import time

import measuring
import processes
from api import eventually
from gateway import Gateway, llm
from serverless_checks import default_model

INPUT = {"prompt": "The river ran down from the hills to the sea.", "stream": True, "max_batch_size": 1,
         "sampling_params": {"max_tokens": 16, "temperature": 0, "ignore_eos": True}}
IDLE_TIMEOUT = 1


def forget_pages(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def once(gateway, options):
    """One way up and down; times in ms by part."""
    raw = gateway.api().on("zero")
    raw.health()                                        # the connection is there
    if options.cold_file:
        forget_pages(options.model)
    begin = time.time()
    job = raw.run(INPUT)
    accepted = time.time()
    while not raw.stream(job)["stream"]:
        pass
    first = time.time()
    worker, = gateway.workers("zero")
    payload = raw.completed(job, 60)
    assert payload["workerId"] == worker["id"], (payload, worker)
    pid = int(worker["handle"].split(":")[0])
    done = time.time()
    eventually(lambda: not gateway.workers("zero"), 30, "the worker is stopped", every=0.02)
    stopped = time.time()
    assert not processes.gone([pid], 5), "the worker's process outlives its record"
    started, ready = worker["startedAt"] / 1000, worker["readyAt"] / 1000
    parts = {"accepted": accepted - begin, "worker ordered": started - accepted, "worker up to its first take": ready - started,
             "first take to first token": first - ready, "submission to first token": first - begin}
    phases = (worker.get("coldStart") or {})
    parts |= {f"  {name}": value / 1000 for name, value in phases.items() if isinstance(value, (int, float))}
    parts["last token to no worker"] = stopped - done
    return {name: 1000 * value for name, value in parts.items()}


def sample(gateway):
    """What could pile up."""
    pid = gateway.process.pid
    descriptors, sockets = processes.descriptors(pid)
    found = {"descriptors": descriptors, "sockets": sockets, "memory MiB": processes.resident_bytes(pid) / (1 << 20),
             "processes": len(gateway.others()), "files": sum(len(files) for _, _, files in os.walk(os.path.join(gateway.folder, "state")))}
    if gateway.store.startswith("sqlite:"):
        with sqlite3.connect(f"file:{gateway.store[7:]}?mode=ro", uri=True) as store:
            tables = [name for name, in store.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
            found |= {f"rows of {name}": store.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
    return found


# What may grow with each job, by the store's own rule: jobs are kept for their retention. Everything else stays as it is.
GROWS = {"rows of jobs", "rows of payloads", "rows of chunks", "rows of results", "rows of log"}


def leaks(early, late, cycles):
    """What has grown that should not have."""
    found = []
    for name, before in early.items():
        after = late[name]
        slack = 24 if name == "memory MiB" else 32 if name == "files" else 4
        if name not in GROWS and after > before + slack:
            found.append(f"{name}: {before:.0f} after 10, {after:.0f} after {cycles}")
    if late["processes"]:
        found.append(f"{late['processes']} processes are left")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--cycles", type=int, default=0)
    parser.add_argument("--cold-file", action="store_true")
    parser.add_argument("--store")
    parser.add_argument("--json")
    options = parser.parse_args()
    variables = {"MODEL_NAME": options.model, "MAX_MODEL_LEN": "1024", "MAX_CONCURRENCY": "4"}
    gateway = Gateway(options.binary, {"zero": llm(variables, idleTimeout=IDLE_TIMEOUT)}, store=options.store)
    count, rows, samples = max(options.repeats, options.cycles), [], []
    try:
        gateway.start()
        for number in range(count):
            rows.append(once(gateway, options))
            samples.append(sample(gateway))
            if sys.stderr.isatty() or number % 10 == 9:
                print(f"{number + 1} of {count}: first token after {rows[-1]['submission to first token']:.0f} ms", file=sys.stderr)
        status = gateway.stop()
    finally:
        gateway.kill()
        left = gateway.sweep()
        gateway.remove()
    names = list(rows[0])
    print(f"{measuring.hardware()}; {os.path.basename(options.model)}{', file cold' if options.cold_file else ''}; {count} repeats, idleTimeout {IDLE_TIMEOUT} s")
    for name in names:
        values = [row[name] for row in rows if name in row]
        print(f"{name:32}{measuring.spread(values)} ms")
    failed = leaks(samples[9], samples[-1], count) if options.cycles >= 20 else []
    if options.cycles:
        print(f"{'':32}{'after 1':>10}{'after 10':>10}{f'after {count}':>12}")
        for name in samples[-1]:
            print(f"{name:32}{samples[0][name]:10.0f}{samples[min(9, count - 1)][name]:10.0f}{samples[-1][name]:12.0f}")
    failed += [f"the gateway ended with status {status}"] if status else []
    failed += [f"left behind: {left}"] if left else []
    for line in failed:
        print("FAIL " + line)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"repeats": rows, "samples": samples, "medians": {n: statistics.median(r[n] for r in rows if n in r) for n in names}}, file, indent=1)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
