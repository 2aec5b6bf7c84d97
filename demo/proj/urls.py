"""The demo over HTTP; the socket's address stands in asgi.py."""

from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path

from polls.api import router
from polls.views import page

urlpatterns = [
    path("", page, name="page"),
    path("api/", include(router.urls)),
    path("api-auth/", include("rest_framework.urls")),
    # Answers with DEBUG only.
    path("channels-api/", include("channels_api.urls")),
    path("admin/", admin.site.urls),
    # `runserver` does without; other ASGI servers know nothing of static files.
    *staticfiles_urlpatterns(),
]
