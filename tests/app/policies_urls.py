"""Viewsets over HTTP, to be compared with what the socket answers for the same ones."""

from rest_framework.routers import SimpleRouter

from tests.app.streams.twins import VIEWSETS

router = SimpleRouter()
for name, viewset in VIEWSETS.items():
    router.register(name, viewset, basename=name)

urlpatterns = router.urls
