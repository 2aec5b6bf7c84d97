"""The viewsets of tests/app/http_api.py, in the ways in which projects mount theirs."""

from django.urls import include, path
from rest_framework.routers import DefaultRouter, SimpleRouter

from tests.app import http_api

router = DefaultRouter()
for viewset in (
    *(http_api.Ten, http_api.TenPlain, http_api.Nothing, http_api.NothingGeneric),
    *(http_api.Refusing, http_api.Shown, http_api.Found, http_api.Bare, http_api.Processed),
    *(http_api.Passing, http_api.Locked, http_api.StaffOnly, http_api.Throttled),
    *(http_api.Questions, http_api.ProjectQuestions, http_api.WrittenOnce),
    *(http_api.Writing, http_api.WritingFreely),
):
    name = viewset.__name__.lower()
    router.register(name, viewset, basename=f"http-{name}")

bare = SimpleRouter(trailing_slash=False)
bare.register("ten", http_api.Ten, basename="bare-ten")

spaced = DefaultRouter()
spaced.register("ten", http_api.Ten, basename="ten")

nested = SimpleRouter()
nested.register("ten", http_api.Ten, basename="nested-ten")
# Twice the same viewset, under two names.
nested.register("again", http_api.Ten, basename="nested-again")

by_path = SimpleRouter(use_regex_path=False)
by_path.register("ten", http_api.Ten, basename="path-ten")

urlpatterns = [
    path("", include(router.urls)),
    path("bare/", include(bare.urls)),
    path("one/", include((spaced.urls, "shop"), namespace="one")),
    path("two/", include((spaced.urls, "shop"), namespace="two")),
    path("polls/<int:poll>/<slug:lang>/", include(nested.urls)),
    path("by-path/", include(by_path.urls)),
    path(
        "by-hand/",
        http_api.Ten.as_view({"get": "list", "post": "create"}, basename="http-ten"),
    ),
]
