"""A stream without rows for the tests of frames: what comes back is what went in."""

from channels_api.bindings import ResourceBindingBase
from channels_api.decorators import detail_action, list_action


class FramesBinding(ResourceBindingBase):
    @list_action()
    async def echo(self, data=None, **kwargs):
        return data

    @detail_action()
    async def point(self, pk, data=None, **kwargs):
        return {"pk": pk, "data": data}


CONSUMERS = {"frames": FramesBinding}
