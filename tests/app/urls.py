"""The HTTP side of the test project."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("jobs/", include("tests.app.tasks_api")),
    path("owners/", include("tests.app.owners_api")),
    path("http/", include("tests.app.http_urls")),
    path("policies/", include("tests.app.policies_urls")),
]
