"""The HTTP twins of the streams in tests/app/streams/edges.py."""

from rest_framework.routers import SimpleRouter

from tests.app.streams.edges import VIEWSETS

router = SimpleRouter()
for name, viewset in VIEWSETS.items():
    router.register(name, viewset, basename=name)

urlpatterns = router.urls
