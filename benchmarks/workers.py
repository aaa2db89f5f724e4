"""Cached films: how many requests a second one web worker answers, and how many four do; and what Redis costs beside memory.

    python benchmarks/workers.py [--json FILE] [--seconds 10]

A request is the manifest of a film, all feature maps of a layer at 41 checkpoints, or one of the chunks that it names; all have been
asked for before, so they come out of Redis. Processes that ask again as soon as they are answered drive it, over many connections.

Four workers are three times as quick as one where there are cores for all of them, for Redis and for the driver. Where there
are not, the machine is the limit: what it could answer at most is its cores, less what others used meanwhile, divided by the
processor time that a request costs (worker, Redis and driver together, as measured); four workers are to reach nine tenths of that.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from browsers import Client, Failed, Record
from figures import Figure, command_line, report
from team import Data, Team, make_data, serving
from web_process import processor_s

BENCHMARK = "cached films from one web worker and from four"
IMAGES = 24
WORKERS = 4
DRIVERS = 2
CLIENTS = 6
"""A driver's; each has the connections of a browser."""
ENOUGH_CORES = WORKERS + DRIVERS + 1
ALONE = 60
"""Films asked for one after the other, with nothing else going on."""


async def film(client: Client, image: int) -> int:
    """The manifest and then all chunks; how many requests that was."""
    addresses: list[str] = []

    def read(line: dict[str, Any]) -> None:
        if "chunk" in line:
            addresses.append(line["chunk"]["address"])

    await client.ask("film", f"/api/v1/runs/lenet/layers/conv2/film?show=features&image=test-{image}", on_line=read)
    await asyncio.gather(*(client.ask("chunk", address) for address in addresses))
    return 1 + len(addresses)


def drive(pipe: Connection, address: str, number: int) -> None:
    """A process's body: asks until it is told to stop, and sends back what it has seen."""
    record = Record()

    async def ask_until(ends_s: float, first: int) -> None:
        client, image = Client(address, record), first
        while time.monotonic() < ends_s:
            await film(client, image % IMAGES)
            image += 1
        client.close()

    async def all_clients(ends_s: float) -> None:
        await asyncio.gather(*(ask_until(ends_s, number + 5 * client) for client in range(CLIENTS)))

    try:
        asyncio.run(all_clients(time.monotonic() + 2))  # connections, and what is imported with the first request
        pipe.send("ready")
        record.samples.clear()
        ends_s = pipe.recv()
        asyncio.run(all_clients(ends_s))
    except Failed:
        pass
    pipe.send((len(record.samples), record.errors))


@dataclass(frozen=True)
class Throughput:
    requests: int
    seconds: float
    errors: list[str]
    used_s: dict[str, float]
    """Processor time by who used it."""
    idle_s: float
    """Processor time of the whole machine that nobody used."""

    @property
    def a_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cores(self) -> float:
        """Those that others left to us."""
        return (sum(self.used_s.values()) + self.idle_s) / self.seconds

    @property
    def limit_a_second(self) -> float:
        """Requests, were no core idle."""
        return self.cores * self.requests / sum(self.used_s.values())


def idle_s() -> float:
    """Seconds that cores had nothing to do, all together, since the machine was started."""
    words = Path("/proc/stat").read_text().split(maxsplit=6)
    return (int(words[4]) + int(words[5])) / os.sysconf("SC_CLK_TCK")


def throughput(team: Team, seconds: float) -> Throughput:
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for number in range(DRIVERS):
        pipe, other_end = multiprocessing.Pipe()
        process = context.Process(target=drive, args=(other_end, team.address, number), daemon=True)
        process.start()
        other_end.close()
        pipes.append(pipe)
        processes.append(process)
    try:
        for pipe in pipes:
            ready = pipe.recv()
            if ready != "ready":
                raise RuntimeError(f"A driver failed: {ready}")
        used, idle, began_s = team.processor_s(), idle_s(), time.monotonic()
        driver_s = sum(processor_s(process.pid) for process in processes if process.pid)
        for pipe in pipes:
            pipe.send(began_s + seconds)
        time.sleep(seconds)
        shares = {name: after - used[name] for name, after in team.processor_s().items()}
        shares["driver"] = sum(processor_s(process.pid) for process in processes if process.pid) - driver_s
        idle = idle_s() - idle
        said = [pipe.recv() for pipe in pipes]
        took_s = time.monotonic() - began_s
    finally:
        for process in processes:
            process.terminate()
            process.join(10)
    errors = [error for _count, errors in said for error in errors]
    return Throughput(sum(count for count, _errors in said), took_s, errors, shares, idle)


def alone_ms(team: Team) -> float:
    """Milliseconds of a cached film, manifest and chunks, asked for alone; everything is in the cache afterwards."""

    async def ask() -> float:
        client, times = Client(team.address, Record()), []
        for image in range(IMAGES):
            await film(client, image)
        for number in range(ALONE):
            began_s = time.perf_counter()
            await film(client, number % IMAGES)
            times.append((time.perf_counter() - began_s) * 1e3)
        client.close()
        return statistics.median(times)

    return asyncio.run(ask())


def measure(data: Data, seconds: float) -> list[Figure]:
    with serving(data, 1, redis=False) as team:
        memory_ms = alone_ms(team)
    with serving(data, 1) as team:
        redis_ms = alone_ms(team)
        one = throughput(team, seconds)
    with serving(data, WORKERS) as team:
        alone_ms(team)
        four = throughput(team, seconds)
    for error in (one.errors + four.errors)[:20]:
        print(error, file=sys.stderr)
    cores = os.cpu_count() or 1
    ratio, share = four.a_second / one.a_second, four.a_second / four.limit_a_second
    enough = cores >= ENOUGH_CORES
    asked = (
        Figure("four workers to one", ratio, "times", ">=", 3)
        if enough
        else Figure("four workers to one", ratio, "times")
    )
    at_limit = (
        Figure("four workers: share of the machine's limit", share, "")
        if enough
        else Figure("four workers: share of the machine's limit", share, "", ">=", 0.9)
    )
    return [
        Figure("cores", cores, ""),
        Figure("errors", len(one.errors) + len(four.errors), "", "<=", 0),
        Figure("one worker", one.a_second, "requests/s"),
        Figure("four workers", four.a_second, "requests/s"),
        asked,
        *(
            Figure(f"{word}: processor time of {name} a request", 1e3 * used_s / found.requests, "ms")
            for word, found in (("one worker", one), ("four workers", four))
            for name, used_s in found.used_s.items()
        ),
        Figure("cores that others left to four workers", four.cores, ""),
        Figure("the machine's limit, were none of them idle", four.limit_a_second, "requests/s"),
        at_limit,
        Figure("a cached film alone, from memory", memory_ms, "ms"),
        Figure("a cached film alone, from Redis", redis_ms, "ms"),
        Figure("Redis to memory", redis_ms / memory_ms, "times"),
    ]


def main() -> None:
    parser = command_line(BENCHMARK)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to ask each time (default: %(default)g)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        figures = measure(make_data(Path(name), IMAGES), options.seconds)
    report(BENCHMARK, figures, parser)


if __name__ == "__main__":
    main()
