#!/usr/bin/env python3
"""Starts `needletail serve` with a KV cache so small that sequences are preempted, and puts it under load.

    soak.py --binary .build/release/needletail --model FOLDER_OR_GGUF [--minutes 10] [--streams 64] [--seed 1]

Phase A: --streams requests of mixed prompt and output length, greedy and random with seeds, one by one and then all at once: token ids
and log-probabilities must be the same. Phase B: for --minutes random requests from a quarter as many clients, many of which close their socket in
mid-stream or before the first byte, some with mistakes: afterwards nothing may be held and memory may not have grown.
One line a check, then 'N passed, N failed'; exit status 1 if any failed. Needs a generative model with a chat template, any weights.
Talks to its own server only, on 127.0.0.1; at most --streams requests at a time, and 100,000 in all.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

from soak_clients import Clients, Plan, Server, alike, read_all


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, holds, what):
        self.passed += bool(holds)
        self.failed += not holds
        print(("ok   " if holds else "FAIL ") + what, flush=True)
        return holds


def start(a, log):
    """The server, and its port once it listens."""
    process = subprocess.Popen(
        [a.binary, "serve", a.model, "--host", "127.0.0.1", "--port", "0", "--kv-cache-memory", a.kv_cache_memory,
         "--max-num-seqs", str(a.streams), "--max-model-len", str(a.max_model_len), "--block-size", "16", "--served-model-name", "soak"],
        stdout=subprocess.DEVNULL, stderr=log)
    limit = time.time() + 120
    while time.time() < limit and process.poll() is None:
        found = re.search(rb"listening on http://127\.0\.0\.1:(\d+)", open(log.name, "rb").read())
        if found:
            return process, int(found[1])
        time.sleep(0.05)
    process.kill()
    sys.exit("the server did not start:\n" + open(log.name, errors="replace").read())


# ---------------------------------------------------------------------------------------------------------- phase A
def phase_a(server, a, report):
    plans = [Plan.of_stream(i, a) for i in range(a.streams)]
    t = time.time()
    alone = [read_all(server, p.body("alone")) for p in plans]
    between = time.time()
    together = [None] * len(plans)

    def run(i):
        try:
            together[i] = read_all(server, plans[i].body("together"))
        except Exception as e:                          # noqa: BLE001 (any failure of a stream is the result)
            together[i] = e

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(plans))]
    for th in threads:
        th.start()
    most = 0
    while any(th.is_alive() for th in threads):
        most = max(most, server.metric("num_requests_running") + server.metric("num_requests_waiting"))
        time.sleep(0.05)
    seconds = time.time() - between
    failures = [r for r in alone + together if not isinstance(r, dict)]
    report.check(not failures, f"{len(plans)} streams completed, most at once in the server {most:.0f}"
                 + (f"; first failure: {failures[0]!r}" if failures else ""))
    for what, key in [("token ids", "token_ids"), ("log-probabilities", "logprobs"), ("texts and finish reasons", "text")]:
        different = [i for i, (x, y) in enumerate(zip(alone, together)) if not alike(x, y, key)]
        count = sum(len(x["token_ids"]) for x in alone if isinstance(x, dict))
        report.check(not different, f"{what} of all streams are as alone ({count} tokens)" + (f"; different: {different[:8]}" if different else ""))
    report.check(len({tuple(x["token_ids"]) for x in alone}) > len(plans) * 3 // 4, "the streams say different things")
    report.check(most > len(plans) / 2, "they did run together")
    preemptions = server.metric("num_preemptions_total")
    report.check(preemptions > 0, f"the cache was too small for them: {preemptions:.0f} preemptions")
    report.check(server.idle(), f"nothing running, waiting or held afterwards {server.held()}")
    print(f"     alone {between - t:.1f} s, together {seconds:.1f} s")
    return plans[0], alone[0]


# ---------------------------------------------------------------------------------------------------------- phase B
def phase_b(server, a, report, pid, first_fds, probe):
    clients = Clients(server, a)
    begin, limit = time.time(), a.minutes * 60
    baseline_at = min(60, limit / 2)
    threads = [threading.Thread(target=clients.loop, args=(n, begin + limit)) for n in range(max(1, a.streams // 4))]
    for th in threads:
        th.start()
    samples = []                                        # (seconds, anonymous bytes, resident bytes)
    while any(th.is_alive() for th in threads):
        samples.append((time.time() - begin, *memory(pid)))
        time.sleep(0.5)
    counts = clients.counts
    print("     " + ", ".join(f"{n} {name}" for name, n in sorted(counts.items())))
    report.check(not clients.errors, f"{sum(counts.values())} requests in {a.minutes:g} min answered as they should be"
                 + (f"; {len(clients.errors)} not, first: {clients.errors[0]}" if clients.errors else ""))
    report.check(server.idle(), f"nothing running, waiting or held afterwards {server.held()}")
    before = middle([s[1] for s in samples if baseline_at - 5 <= s[0] <= baseline_at + 5])
    after = middle([s[1] for s in samples if s[0] >= limit - 10])
    resident = [s[2] for s in samples]
    mib = 1 << 20
    report.check(after - before <= a.growth_mib * mib,
                 f"memory did not grow by more than {a.growth_mib:g} MiB: {before / mib:.1f} MiB after {baseline_at:.0f} s, {after / mib:.1f} MiB "
                 f"at the end (resident with mapped files: {resident[0] / mib:.0f} to {resident[-1] / mib:.0f} MiB)")
    fds = settle(lambda: descriptors(pid), first_fds)
    report.check(fds <= first_fds, f"open files are back to the start: {fds} of {first_fds}")
    plan, expected = probe
    again = read_all(server, plan.body("after"))
    report.check(alike(again, expected, "token_ids") and alike(again, expected, "logprobs"), "a request is answered as before")
    print(f"     {server.metric('num_preemptions_total'):.0f} preemptions, {server.metric('generation_tokens_total'):.0f} tokens generated, "
          f"{server.metric('prefix_cache_hits_total'):.0f} prompt tokens found in the cache")


def memory(pid):
    """Bytes that belong to the process alone, and all resident ones: pages of mapped weights come and go as they are read."""
    text = open(f"/proc/{pid}/status").read()
    return tuple(int(re.search(rf"^{key}:\s+(\d+) kB", text, re.M)[1]) * 1024 for key in ("RssAnon", "VmRSS"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def settle(read, wanted, limit_s=15):
    end = time.time() + limit_s
    while (value := read()) > wanted and time.time() < end:
        time.sleep(0.1)
    return value


def middle(values):
    return sorted(values)[len(values) // 2] if values else 0


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--binary", required=True)
    ap.add_argument("--model", required=True)
    ap.add_argument("--minutes", type=float, default=10)
    ap.add_argument("--streams", type=int, default=64)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--kv-cache-memory", default="12MiB", help="must hold one text of --max-model-len tokens, not --streams of them")
    ap.add_argument("--max-model-len", type=int, default=384)
    ap.add_argument("--prompt-words", type=int, default=180, help="of the longest prompt")
    ap.add_argument("--output-tokens", type=int, default=40, help="of the longest answer")
    ap.add_argument("--growth-mib", type=float, default=16)
    a = ap.parse_args()
    report = Report()
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process, port = start(a, log)
        try:
            server = Server(port)
            first_fds = settle(lambda: descriptors(process.pid), 0, limit_s=0)
            probe = phase_a(server, a, report)
            if a.minutes > 0:
                phase_b(server, a, report, process.pid, first_fds, probe)
            report.check(process.poll() is None, "the server is alive")
            process.terminate()
            report.check(process.wait(timeout=30) == 0, f"it ends when asked to, with status {process.returncode}")
        except Exception as e:                          # noqa: BLE001
            report.check(False, f"{type(e).__name__}: {e}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if report.failed:
                sys.stderr.write(open(log.name, errors="replace").read()[-4000:])
    print(f"{report.passed} passed, {report.failed} failed")
    sys.exit(1 if report.failed or not report.passed else 0)


if __name__ == "__main__":
    main()
