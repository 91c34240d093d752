#!/usr/bin/env python3
"""Puts a gateway with four workers under load while processes are killed and stopped, and counts what that costs.

    chaos.py --binary .build/release/needletail --minutes 3 --store sqlite|postgres [--gateways 2] [--seed 1] [--model PATH] [--clients 12]
             [--json FILE] [--plot FILE.svg] [--keep]

Prompts are greedy or seeded; their texts are recorded before anything is disturbed. Then, every few seconds, a worker, a gateway or
PostgreSQL gets kill -9, or SIGSTOP for 1 to 8 s. Wanted: no accepted job without its result, none with two, no stream with a wrong or
repeated token; an OpenAI stream may be cut by the death of the gateway that it came through, and by nothing else. Two gateways share one
PostgreSQL: clients go to them in turn, workers reach both by a load balancer, and the one takes over when the other is dead for long.
One line a verdict, then 'N passed, N failed'.
"""
import argparse
import asyncio
import json
import os
import sys
import time

import aiohttp

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

import chaos_plans
import processes
from balancer import Balancer
from chaos_clients import Book, Clients, Http
from chaos_faults import Faults, timeline
from gateway import CLIENT_KEY, MARK, Gateway, llm
from postgres import Cluster
from receiver import Receiver
from serverless_checks import default_model

ENDPOINT = "chaos"
VERDICTS = {
    "lost": "every accepted job has a result",
    "two results": "no job has two results",
    "text": "every text is as it was undisturbed",
    "stream": "no stream has a wrong, repeated or missing token",
    "broken stream": "no stream breaks but by its gateway's death",
    "broken request": "no plain request breaks but by its gateway's death",
    "cancel": "every cancel is answered",
    "webhook": "every webhook comes",
    "refused": "no good request is refused for good",
    "restart": "gateways and PostgreSQL come back",
    "client": "no client meets anything else",
    "end": "nothing is left in the queue, and no process behind",
}


def definition(options, balancer):
    model = llm({"MODEL_NAME": options.model, "MAX_MODEL_LEN": "1024", "MAX_CONCURRENCY": "4", "THREADS": "1", "KV_CACHE_MEMORY": "256MiB",
                "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "smollm2"},
               workersMin=4, workersMax=4, scalerValue=3, idleTimeout=60, maxRetries=1000, maxQuickExits=1000, maxStartsPerMinute=10000,
               pingIntervalMs=2000, allowPrivateWebhooks=True, runRetentionMs=86_400_000, runsyncRetentionMs=86_400_000, stopGrace=10)
    if balancer:
        model["provider"]["process"]["gatewayURL"] = balancer.base
    return model


async def disturbed(options, gateways, cluster, book, receiver, http):
    """The load and the faults, until all that was asked is answered."""
    faults = Faults(gateways, cluster, book, options.seed, (options.pause, options.pause * 3))
    clients = Clients(http, options.plans, book, receiver, options.seed)
    deadline = time.monotonic() + options.minutes * 60
    progress = asyncio.create_task(show(book, faults))
    try:
        await asyncio.gather(faults.run(deadline), *(clients.loop(n, deadline) for n in range(options.clients)))
    finally:
        progress.cancel()
    seconds = time.time() - book.begin
    await settle(http, book)
    await clients.look_again()
    for _ in range(60):
        if all(receiver.of(one.hook) for one in book.accepted.values() if one.hook):
            break
        await asyncio.sleep(1)
    clients.webhooks()
    return faults, seconds


async def settle(http, book):
    """Also what was accepted without our knowing ends: no job waits or runs."""
    for _ in range(240):
        _, health = await http.surely("GET", "health")
        if health["jobs"]["inQueue"] == health["jobs"]["inProgress"] == 0:
            return
        await asyncio.sleep(0.5)
    book.wrong("end", f"jobs left: {health}")


async def show(book, faults):
    """A line that is written over on a terminal, and now and then in a log."""
    tty = sys.stderr.isatty()
    while True:
        await asyncio.sleep(1 if tty else 15)
        c = book.counts
        line = (f"{time.time() - book.begin:5.0f} s  {len(book.accepted)} jobs accepted, {c['completed with the right text']} right, {c['cancelled']} cancelled, "
                f"{c['streams right to the end']} streams right, {c[CUT]} cut; {faults.state_of_things()}; {len(book.wrongs)} wrong")
        print(("\r\033[K" if tty else "") + line, end="" if tty else "\n", file=sys.stderr, flush=True)


CUT = "streams cut by the gateway's death, right so far"


async def play(options, gateways, cluster, book):
    receiver = Receiver()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        http = Http(session, [gateway.base for gateway in gateways], ENDPOINT, CLIENT_KEY)
        begin = time.time()
        await chaos_plans.record(options.plans, http)
        print(f"{len(options.plans)} texts recorded in {time.time() - begin:.0f} s", file=sys.stderr)
        book.begin = time.time()
        return await disturbed(options, gateways, cluster, book, receiver, http)


def finish(gateways, book):
    """The gateways end when asked to, and the last one takes the workers with it."""
    statuses = [gateway.stop() for gateway in gateways]
    left = processes.gone(processes.marked(MARK, gateways[0].mark), 5)
    if any(statuses) or None in statuses or left:
        book.wrong("end", f"exit statuses {statuses}; left behind: {[processes.command(pid) for pid in left]}")


def report(options, book, faults, seconds):
    print("\n--- faults")
    for name, count in sorted(faults.counts.items()):
        print(f"{count:7}  {name}")
    print("--- requests")
    for name, count in sorted(book.counts.items()):
        print(f"{count:7}  {name}")
    print("--- verdicts")
    failed = 0
    for kind, text in VERDICTS.items():
        found = [w for w in book.wrongs if w[1] == kind]
        failed += bool(found)
        print(f"{'FAIL' if found else 'ok':4} {text}" + (f": {len(found)} times" if found else ""))
        for at, _, what in found[:5]:
            print(f"     at {at} s: {what}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"seed": options.seed, "store": options.store, "gateways": options.gateways, "seconds": round(seconds, 1), "accepted": len(book.accepted),
                       "counts": book.counts, "faults": faults.counts, "wrongs": book.wrongs, "fault_log": faults.log}, file, indent=1)
    if options.plot:
        timeline(options.plot, faults.log, book.completions, seconds)
    print(f"{len(VERDICTS) - failed} passed, {failed} failed: {len(book.accepted)} jobs accepted, {sum(faults.counts.values())} faults in "
          f"{seconds:.0f} s, seed {options.seed}, {options.store}, {options.gateways} gateway{'s' * (options.gateways > 1)}")
    return failed


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--gateways", type=int, default=1, help="more than one need --store postgres")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--pause", type=float, default=1.5, help="shortest pause between two faults, seconds; the longest is three times as long")
    parser.add_argument("--json")
    parser.add_argument("--plot")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    options.plans = chaos_plans.make(options.seed, 24)
    if not options.model:
        parser.error("no model found; name one with --model")
    if options.gateways < 1 or (options.gateways > 1 and options.store != "postgres"):
        parser.error("one gateway, or several with --store postgres")
    return options


def main():
    options = arguments()
    book, cluster, failed = Book(), None, 1
    if options.store == "postgres":
        cluster = Cluster().start()
    balancer = Balancer() if options.gateways > 1 else None
    gateways = [Gateway(options.binary, {ENDPOINT: definition(options, balancer)}, store=cluster and cluster.url)]
    gateways += [gateways[0].replica() for _ in range(1, options.gateways)]
    try:
        for gateway in gateways:
            gateway.start()
        if balancer:
            balancer.upstreams = [gateway.port for gateway in gateways]
        faults, seconds = asyncio.run(play(options, gateways, cluster, book))
        finish(gateways, book)
        failed = report(options, book, faults, seconds)
    finally:
        for gateway in gateways:
            gateway.kill()
        gateways[0].sweep()
        if cluster:
            cluster.remove()
        for gateway in gateways:
            if failed or options.keep:
                print(f"kept: {gateway.folder}\n--- end of the gateway's log\n{gateway.tail(30)}", file=sys.stderr)
            else:
                gateway.remove()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
