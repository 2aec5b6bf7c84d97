"""The demo over HTTP; the socket's address stands in asgi.py."""

from django.contrib import admin
from django.urls import include, path

from polls.api import router
from polls.views import page

urlpatterns = [
    path("", page, name="page"),
    path("api/", include(router.urls)),
    path("api-auth/", include("rest_framework.urls")),
    path("admin/", admin.site.urls),
]
