#!/usr/bin/env python3
"""What the way through gateway and worker costs: 32 OpenAI streams at once, against `needletail serve` and through a gateway.

    overhead.py --binary .build/release/needletail [--model PATH] [--streams 32] [--rounds 7] [--tokens 48] [--store URL] [--batch 1] [--threads 1] [--turns 1]

Both stand ready on this machine; rounds alternate, direct, gateway, gateway, direct, …, with the same new prompts for both in each round.
In a round each of the clients sends --turns requests, one after the other, of --tokens tokens give or take half, so that they soon come and go
at different times, as clients do; the first turn, in which all come at the same instant, is left out. With --turns 1 it is all there is: a burst.
Reported: time to the first token and gaps between tokens, median and 95th percentile of each round, of those the median over the rounds with
the spread, and the rounds' differences (median; mean with its standard error); processor time of each process. Texts must be the same.
--batch is the worker's DEFAULT_BATCH_SIZE: 1 relays token by token, 50 is what Runpod's worker does. --threads bounds both engines' compute threads: with as many as cores (the default) the engine has the whole machine,
and every instruction of the gateway is taken from it; with one less the gateway has a core, as it has on a machine of its own.
"""
import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time

import measuring
import processes
from chaos_plans import WORDS
from gateway import CLIENT_KEY, Gateway, llm
from rawhttp import Stream, request, run
from serverless_checks import default_model

FIGURES = ["first token p50", "first token p95", "gap p50", "gap p95"]


class Direct:
    """`needletail serve`."""

    def __init__(self, options, folder):
        self.log = os.path.join(folder, "serve.log")
        threads = ["--threads", str(options.threads)] if options.threads else []
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [options.binary, "serve", options.model, "--host", "127.0.0.1", "--port", "0", "--served-model-name", "smollm2",
                 "--max-model-len", "1024", "--max-num-seqs", str(options.streams), *threads], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.port, limit = 0, time.monotonic() + 60
        while not self.port and time.monotonic() < limit and self.process.poll() is None:
            with open(self.log, "rb") as file:
                found = re.search(rb"listening on http://127\.0\.0\.1:(\d+)", file.read())
            self.port = int(found[1]) if found else 0
            time.sleep(0.05)
        if not self.port:
            sys.exit(f"the server did not start; see {self.log}")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def gateway_for(options):
    variables = {"MODEL_NAME": options.model, "MAX_MODEL_LEN": "1024", "MAX_NUM_SEQS": str(options.streams), "MAX_CONCURRENCY": str(options.streams),
                 "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "smollm2", "DEFAULT_BATCH_SIZE": str(options.batch)}
    if options.threads:
        variables["THREADS"] = str(options.threads)
    return Gateway(options.binary, {"llm": llm(variables, workersMin=1, workersMax=1)}, store=options.store, rateLimits=False)


def payloads(options, round_number, path):
    """The round's requests with their tokens, a list for each client: the same prompts whatever the path, new ones each round, so that no cache knows them."""
    rng = random.Random(f"round {options.seed} {round_number}")
    clients = []
    for _ in range(options.streams):
        turns = []
        for _ in range(options.turns):
            prompt = " ".join(rng.choice(WORDS) for _ in range(options.prompt_words))
            tokens = options.tokens if options.turns == 1 else rng.randint(options.tokens // 2, options.tokens * 3 // 2)
            body = {"model": "smollm2", "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "stream": True}
            turns.append((tokens, request("POST", path, CLIENT_KEY, json.dumps(body).encode())))
        clients.append(turns)
    return clients


async def one_client(port, turns):
    return [(tokens, await Stream.read(port, payload)) for tokens, payload in turns]


async def one_round(port, clients):
    """What counts of the round's streams, with their tokens, and all texts."""
    clients = await asyncio.gather(*(one_client(port, turns) for turns in clients))
    texts = []
    for _, stream in (turn for turns in clients for turn in turns):
        status, body = stream.body()
        if status != 200:
            raise SystemExit(f"HTTP {status}: {body[:300]}")
        events = [json.loads(line[6:]) for line in body.decode().split("\n") if line.startswith("data: {")]
        texts.append("".join(event["choices"][0]["text"] for event in events))
    return [turn for turns in clients for turn in (turns[1:] or turns)], texts


def figures(streams):
    """In ms. The last event may only say that it is over: it is no token."""
    first = [1000 * s.times[0] for _, s in streams]
    gaps = [1000 * (b - a) for tokens, s in streams for a, b in zip(s.times[:tokens], s.times[1:tokens])]
    return [measuring.quantile(first, 0.5), measuring.quantile(first, 0.95), measuring.quantile(gaps, 0.5), measuring.quantile(gaps, 0.95)]


async def rounds(options, direct, gateway):
    """Figures by way and round; A B B A so that what drifts hits both."""
    ways = {"direct": (direct.port, "/v1/completions"), "gateway": (gateway.port, "/v2/llm/openai/v1/completions")}
    found, used, texts = {way: [] for way in ways}, {way: [] for way in ways}, {}
    processor = measuring.Processor(serve=direct.process.pid, gateway=gateway.process.pid, worker=lambda: gateway.others())
    for number in range(-1, options.rounds):            # the first warms up and does not count
        for way in (list(ways) if number % 2 else list(reversed(ways))):
            port, path = ways[way]
            requests = payloads(options, number, path)
            processor.since(1)
            begin = time.perf_counter()
            streams, answers = await one_round(port, requests)
            wall = time.perf_counter() - begin
            if texts.setdefault(number, answers) != answers:
                sys.exit(f"round {number}: the two ways gave different texts")
            if number >= 0:
                tokens = sum(count for turns in requests for count, _ in turns)
                found[way].append([*figures(streams), tokens / wall])
                used[way].append(processor.since(wall))
            print(f"round {number} {way}: {wall:.1f} s", file=sys.stderr)
    return found, used


def report(options, found, used):
    print(f"\n{measuring.hardware()}; {os.path.basename(options.model)}; {options.streams} clients, {options.turns} turns of {options.tokens} tokens, prompts of "
          f"{options.prompt_words} words, {options.rounds} rounds, batch {options.batch}, "
          f"{options.threads or 'all'} compute threads")
    print(f"{'ms (median over rounds, spread)':32}{'direct':>28}{'gateway + worker':>28}{'difference':>12}{'mean':>18}")
    table = {}
    for place, name in enumerate(FIGURES + ["tokens/s"]):
        a, b = ([row[place] for row in found[way]] for way in ("direct", "gateway"))
        differences = [y - x for x, y in zip(a, b)]
        difference, mean = statistics.median(differences), statistics.mean(differences)
        error = statistics.stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else float("nan")
        table[name] = {"direct": statistics.median(a), "gateway": statistics.median(b), "difference": difference, "mean": mean, "error": error}
        print(f"{name:32}{measuring.spread(a):>28}{measuring.spread(b):>28}{difference:+12.1f}{f'{mean:+.1f} ± {error:.1f}':>18}")
    for way in found:
        mean = {name: statistics.mean(u[name] for u in used[way]) for name in used[way][0]}
        print(f"processor, {way}: {measuring.percent(mean)} of one core")
        table[f"processor {way}"] = mean
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"options": {k: v for k, v in vars(options).items()}, "rounds": found, "medians": table}, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--prompt-words", type=int, default=24)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--store")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json")
    options = parser.parse_args()
    gateway = gateway_for(options)
    direct = Direct(options, gateway.folder)
    try:
        gateway.start()
        gateway.api().on("llm").call("GET", "openai/v1/models", timeout=120).ok("models")
        report(options, *run(rounds(options, direct, gateway)))
    finally:
        direct.stop()
        gateway.stop()
        gateway.sweep()
        gateway.remove()
    assert not processes.alive(direct.process.pid)


if __name__ == "__main__":
    main()
