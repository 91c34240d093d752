"""The faults of chaos.py: processes that die or hold still for a while."""
import asyncio
import collections
import random
import signal
import time

import processes
from gateway import MARK


class Faults:
    """Every few seconds something is killed, or stopped for 1 to 8 s. What cannot help itself is started again: gateways, PostgreSQL."""

    def __init__(self, gateways, cluster, book, seed, pause):
        self.gateways, self.cluster, self.book, self.pause = gateways, cluster, book, pause
        self.rng = random.Random(f"faults {seed}")
        self.counts, self.log, self.busy, self.tasks = collections.Counter(), [], set(), set()
        self.mark = gateways[0].mark
        # By what it is and which of them. Two gateways may be away at the same time.
        self.weights = {("worker", 0): 50, **{("gateway", n): 25 for n in range(len(gateways))}, **({("postgres", 0): 25} if cluster else {})}

    async def run(self, deadline):
        while True:
            await asyncio.sleep(self.rng.uniform(*self.pause))
            if time.monotonic() > deadline:
                break
            victim = self.rng.choices(list(self.weights), list(self.weights.values()))[0]
            fault = self.rng.choices(["kill", "stop"], [60, 40])[0]
            held = self.rng.uniform(1, 8)
            # Faults of different victims overlap; one of the same victim waits for the next turn.
            if victim in self.busy:
                continue
            self.busy.add(victim)
            task = asyncio.create_task(self.one(victim, fault, held))
            self.tasks.add(task)
        await asyncio.gather(*self.tasks)

    async def one(self, victim, fault, held):
        kind, number = victim
        try:
            self.counts[f"{kind} {fault}"] += 1
            self.log.append((round(time.time() - self.book.begin, 2), kind, fault, round(held, 1) if fault == "stop" else 0))
            await getattr(self, f"{fault}_{kind}")(held, number)
        except Exception as error:                      # noqa: BLE001 (a gateway that does not come back is a finding)
            self.book.wrong("restart", f"{fault} {kind} {number}: {type(error).__name__}: {error}")
        finally:
            self.busy.discard(victim)

    # ------------------------------------------------------------------ workers

    def a_worker(self):
        """A worker's process: what a gateway started, not what that started."""
        pids = [pid for pid in processes.marked(MARK, self.mark)
                if processes.environment(pid).get("RUNPOD_POD_ID") and processes.environment(pid).get("RUNPOD_POD_ID") !=
                processes.environment(processes.parent(pid) or 0).get("RUNPOD_POD_ID")]
        return self.rng.choice(sorted(pids)) if pids else None

    async def kill_worker(self, held, _):
        if pid := await asyncio.to_thread(self.a_worker):
            processes.kill(pid)

    async def stop_worker(self, held, _):
        if pid := await asyncio.to_thread(self.a_worker):
            await self.hold([pid], held)

    async def hold(self, pids, held):
        for pid in pids:
            processes.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(held)
        finally:
            for pid in pids:
                processes.kill(pid, signal.SIGCONT)

    # ------------------------------------------------------------------ gateways

    async def kill_gateway(self, held, number):
        death = [number, time.time(), None]
        self.book.deaths.append(death)
        self.gateways[number].kill()
        # Where there is another one it takes over when it has heard nothing for ten seconds.
        await asyncio.sleep(self.rng.choice([0, 0, 0.5, 2] if len(self.gateways) == 1 else [0, 0.5, 2, 16]))
        await asyncio.to_thread(self.restart, self.gateways[number])
        death[2] = time.time()

    def restart(self, gateway):
        """A store that is down at the moment may let it end again; it is started until it stays."""
        limit = time.monotonic() + 90
        while True:
            try:
                return gateway.start()
            except AssertionError:
                if time.monotonic() > limit:
                    raise
                self.counts["gateway starts that failed"] += 1
                time.sleep(1)

    async def stop_gateway(self, held, number):
        await self.hold([self.gateways[number].process.pid], held)

    # ------------------------------------------------------------------ PostgreSQL

    async def kill_postgres(self, held, _):
        """All of it at once, or one of its processes: then it recovers by itself, and cuts all connections."""
        pids = self.cluster.pids()
        if len(pids) > 2 and self.rng.random() < 0.4:
            processes.kill(self.rng.choice(pids[1:]))
            return
        await asyncio.to_thread(self.cluster.kill)
        await asyncio.sleep(self.rng.choice([0, 1, 3]))
        await asyncio.to_thread(self.cluster.start)

    async def stop_postgres(self, held, _):
        await self.hold(self.cluster.pids(), held)

    def state_of_things(self):
        workers = len(set(processes.marked(MARK, self.mark)) - {gateway.process.pid for gateway in self.gateways})
        return f"{workers} workers' processes, {sum(self.counts.values())} faults"


def timeline(path, faults, completions, seconds):
    """An SVG: results in each second as bars, faults as lines."""
    width, height, colours = 1000, 220, {"worker": "#c33", "gateway": "#33c", "postgres": "#393"}
    buckets = collections.Counter(int(at) for at in completions)
    most = max(buckets.values(), default=1)
    x = width / max(seconds, 1)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 30}" font-family="sans-serif" font-size="11">']
    for second, count in buckets.items():
        bar = count / most * (height - 40)
        parts.append(f'<rect x="{second * x:.1f}" y="{height - bar:.1f}" width="{max(x - 0.5, 0.5):.2f}" height="{bar:.1f}" fill="#9ab"/>')
    for at, victim, fault, held in faults:
        span = max(held * x, 1.2)
        parts.append(f'<rect x="{at * x:.1f}" y="{5 if fault == "kill" else 15}" width="{span:.1f}" height="{height - 15}" fill="{colours[victim]}" '
                     f'opacity="{0.8 if fault == "kill" else 0.18}"/>')
    parts.append(f'<text x="4" y="{height + 20}">{seconds:.0f} s; bars: results a second (most {most}); lines: kill -9, areas: SIGSTOP; '
                 + "; ".join(f'<tspan fill="{c}">{v}</tspan>' for v, c in colours.items()) + "</text></svg>")
    with open(path, "w") as file:
        file.write("\n".join(parts))
