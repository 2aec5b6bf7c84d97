"""The streams of the demo's one socket."""

from channels_api.demultiplexer import WebsocketDemultiplexer
from channels_api.tasks import TaskBinding
from polls.api import QuestionViewSet
from polls.bindings import ChoiceBinding, QuestionBinding


class APIDemultiplexer(WebsocketDemultiplexer):
    """Two streams with bindings, one made from the viewset behind /api/questions/, and tasks."""

    consumers = {
        "questions": QuestionBinding.consumer,
        "choices": ChoiceBinding.consumer,
        "api-questions": QuestionViewSet,
        "tasks": TaskBinding.consumer,
    }
