"""What importing channels_api costs beyond DRF: `python -m tests.benchmarks.imports`.

Of each module the fastest of several fresh processes counts, under `-X importtime`: what a busy
machine adds is noise. Celery and Redis must not be imported.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass

from tests.benchmarks.measures import print_table
from tests.servers import ROOT

ROUNDS = 15
DRF = ["rest_framework.viewsets", "rest_framework.serializers", "rest_framework.routers"]
APPS = ["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"]
OWN = ["bindings", "demultiplexer", "decorators", "permissions", "tasks", "resources"]
CODE = """
import json, sys
from django.conf import settings
settings.configure(INSTALLED_APPS={apps!r}, SECRET_KEY="x", USE_TZ=True)
import django
django.setup()
import {modules}
print(json.dumps(sorted({{"celery", "kombu", "redis"}} & sys.modules.keys())))
"""
LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)")


class Case:
    """Apps and modules that a fresh process imports."""

    def __init__(self, apps: list[str], modules: list[str], bytecode: str) -> None:
        self._code = CODE.format(apps=apps, modules=", ".join(modules))
        self._env = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONPATH": str(ROOT)}
        self._env.pop("PYTHONDONTWRITEBYTECODE", None)
        self.fastest: dict[str, int] = {}
        self.totals: list[float] = []
        self.unwanted: list[str] = []
        # Compiles, as an installer does.
        self._run()

    def measure(self) -> None:
        """One more process."""
        done = self._run()
        self.unwanted = json.loads(done.stdout)
        times = {name: int(spent) for spent, name in LINE.findall(done.stderr)}
        self.totals.append(sum(times.values()) / 1000)
        for name, spent in times.items():
            self.fastest[name] = min(spent, self.fastest.get(name, spent))

    def _run(self) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-X", "importtime", "-c", self._code]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=self._env)


def by_package(times: dict[str, int]) -> list[tuple[str, str]]:
    """Milliseconds of each package's own modules."""
    found: Counter[str] = Counter()
    for name, spent in times.items():
        found[name.partition(".")[0]] += spent
    return [(f"  {name}", f"{spent / 1000:.1f} ms") for name, spent in found.most_common(6)]


@dataclass
class Imports:
    """What was measured: the same without this library, and with it."""

    bare: Case
    own: Case

    @property
    def more(self) -> dict[str, int]:
        """Microseconds of each module that only this library brings."""
        return {name: t for name, t in self.own.fastest.items() if name not in self.bare.fastest}

    @property
    def milliseconds(self) -> float:
        """What this library costs."""
        return sum(self.more.values()) / 1000


def measure() -> Imports:
    """Both in turns."""
    with tempfile.TemporaryDirectory() as bytecode:
        bare = Case(APPS, DRF, bytecode)
        modules = [*DRF, *(f"channels_api.{name}" for name in OWN)]
        own = Case([*APPS, "channels_api"], modules, bytecode)
        for _ in range(ROUNDS):
            bare.measure()
            own.measure()
    return Imports(bare, own)


def print_report(found: Imports) -> None:
    """What it costs, and where that goes."""
    drf, ours = sum(found.bare.fastest.values()) / 1000, found.milliseconds
    medians = [statistics.median(case.totals) for case in (found.bare, found.own)]
    print_table(
        [
            ("Python, Django and DRF", f"{drf:.1f} ms", f"median {medians[0]:.1f} ms"),
            ("channels_api besides", f"{ours:.1f} ms", f"median of both {medians[1]:.1f} ms"),
            ("ratio", f"{ours / drf:.3f}", ""),
        ]
    )
    print_table([("of which", ""), *by_package(found.more)])
    slowest = sorted(found.more.items(), key=lambda item: -item[1])[:8]
    print_table([("slowest", ""), *((f"  {name}", f"{ms / 1000:.1f} ms") for name, ms in slowest)])
    sys.stdout.write(f"of celery, kombu, redis imported: {found.own.unwanted or 'none'}\n")


if __name__ == "__main__":
    print_report(measure())
