"""The same tasks over HTTP, as tastypie-async's README has them."""

from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import GenericViewSet

from channels_api.resources import AsyncResourceMixin
from tests.app import tasks
from tests.app.celery_app import app  # noqa: F401 - the app that the tasks are published by


class Pages(PageNumberPagination):
    page_size = 2


class DoubleViewSet(AsyncResourceMixin, GenericViewSet):
    permission_classes = (AllowAny,)
    pagination_class = Pages

    def async_get_list(self, request, **kwargs):
        return tasks.double.delay(int(request.query_params["number"]))

    def async_post_list(self, request, **kwargs):
        """Any task by its name, as the stream `work` has it."""
        task = getattr(tasks, request.data["task"], None)
        if task is not None:
            return task.apply_async(request.data.get("args", ()), **request.data.get("options", {}))
        return None

    def async_get_detail(self, request, pk, **kwargs):
        return Response({"pk": pk})


router = DefaultRouter()
router.register("double", DoubleViewSet, basename="double")
urlpatterns = router.urls
