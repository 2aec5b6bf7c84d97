"""Writers in one of several servers, and in the worker behind it."""

from channels_api.bindings import ResourceBindingBase
from channels_api.decorators import list_action
from tests.app import nodes_tasks


class NodesBinding(ResourceBindingBase):
    @list_action()
    def write(self, data=None, **kwargs):
        nodes_tasks.write(**data)

    @list_action()
    def write_in_worker(self, data=None, **kwargs):
        nodes_tasks.write_later.delay(**data)

    @list_action()
    def churn(self, data=None, **kwargs):
        nodes_tasks.churn(**data)

    @list_action()
    def time_saves(self, data=None, **kwargs):
        return nodes_tasks.time_saves(data)


CONSUMERS = {"nodes": NodesBinding}
