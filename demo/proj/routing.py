"""The streams of the demo's one socket."""

from channels_api.demultiplexer import WebsocketDemultiplexer
from polls.api import QuestionViewSet
from polls.bindings import ChoiceBinding, QuestionBinding


class APIDemultiplexer(WebsocketDemultiplexer):
    """Two streams with bindings, and one made from the viewset behind /api/questions/."""

    consumers = {
        "questions": QuestionBinding.consumer,
        "choices": ChoiceBinding.consumer,
        "api-questions": QuestionViewSet,
    }
