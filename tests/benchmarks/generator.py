"""The load generator: a process of its own, which is told what to do line by line.

`LoadGenerator` starts it and speaks with it; `python -m tests.benchmarks.generator` is the process.
"""

import asyncio
import gc
import json
import subprocess
import sys
from typing import Any

from tests.benchmarks.peers import OTHER_CORE, PeerServer, on_core
from tests.servers import ROOT


class LoadError(Exception):
    """The load generator could not do what it was told."""


class LoadGenerator:
    """The process, beside the core of the servers."""

    def __enter__(self) -> "LoadGenerator":
        command = [sys.executable, "-m", "tests.benchmarks.generator"]
        with on_core(OTHER_CORE):
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def run(self, job: str, server: PeerServer, **arguments: Any) -> dict[str, float]:
        """One of `JOBS` at a server; raises LoadError."""
        line = json.dumps({"job": job, "peer": server.name, "port": server.port, **arguments})
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "it is gone"}')
        if "error" in answer:
            raise LoadError(f"{job} at {server.name}: {answer['error']}")
        return answer


async def serve() -> None:
    """Do what the lines of stdin say, one after another."""
    from tests.benchmarks import fanout, holding, loads  # noqa: PLC0415 - packages of the process

    jobs = {
        "request_reply": loads.request_reply,
        "first": loads.first,
        "naps": loads.naps,
        "fan_out": fanout.fan_out,
        "hold": holding.hold,
        "subscribe": holding.subscribe,
        "release": holding.release,
    }
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        arguments = json.loads(line)
        try:
            answer: dict[str, Any] = await jobs[arguments.pop("job")](**arguments)
        except Exception as exc:
            answer = {"error": repr(exc)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        gc.collect()


if __name__ == "__main__":
    try:
        from uvloop import run
    except ImportError:  # good enough to see that it works
        from asyncio import run

    # A collection in the middle of a load would be taken for the server's time.
    gc.disable()
    run(serve())
