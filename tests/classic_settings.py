"""A project whose REST API is locked, pages of one row over HTTP, and with ATOMIC_REQUESTS."""

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

REST_FRAMEWORK = {
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 1,
}
DATABASES["default"]["ATOMIC_REQUESTS"] = True
