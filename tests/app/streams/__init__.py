"""The streams of the test project: what each module in here names in its `CONSUMERS`."""

import importlib
import pkgutil

from channels_api.demultiplexer import WebsocketDemultiplexer


def all_consumers() -> dict:
    found: dict = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        consumers = importlib.import_module(module.name).CONSUMERS
        assert not found.keys() & consumers.keys(), f"{module.name} names a stream again"
        found |= consumers
    return found


class Demultiplexer(WebsocketDemultiplexer):
    consumers = all_consumers()
