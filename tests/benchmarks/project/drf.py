"""Django REST framework over HTTP, under Django's own ASGI handler; and the project's URLs."""

import time

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from rest_framework.decorators import action  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.routers import SimpleRouter  # noqa: E402
from rest_framework.viewsets import ModelViewSet  # noqa: E402

from tests.benchmarks.project.models import Question  # noqa: E402
from tests.benchmarks.project.serializers import QuestionSerializer  # noqa: E402
from tests.benchmarks.project.stats import stats  # noqa: E402


class QuestionViewSet(ModelViewSet):
    queryset = Question.objects.all()
    serializer_class = QuestionSerializer

    def get_queryset(self):
        queryset = super().get_queryset()
        return queryset.order_by("pk")[:25] if self.action == "list" else queryset

    @action(detail=False)
    def nap(self, request):
        time.sleep(0.2)
        return Response({})


router = SimpleRouter()
router.register("questions", QuestionViewSet)
urlpatterns = router.urls


async def application(scope, receive, send):
    stats_asked = scope["type"] == "http" and scope["path"] == "/stats/"
    await (stats if stats_asked else django_application)(scope, receive, send)
