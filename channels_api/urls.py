"""The debugger, with DEBUG: `path("channels-api/", include("channels_api.urls"))`."""

from __future__ import annotations

from django.urls import path

from .debugger import views

app_name = "channels_api"

urlpatterns = [
    path("", views.page, name="debugger"),
    path("schema.json", views.schema, name="schema"),
]
