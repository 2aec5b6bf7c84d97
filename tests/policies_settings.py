"""The test project with a locked REST API: what it sets for DRF holds on the socket as well."""

from tests.settings import *  # noqa: F403

REST_FRAMEWORK = {
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_FILTER_BACKENDS": ["rest_framework.filters.SearchFilter"],
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.ScopedRateThrottle",
        "rest_framework.throttling.AnonRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {"writes": "3/hour", "anon": "1/hour"},
    # The address is that which the nearest proxy saw: the last one in X-Forwarded-For.
    "NUM_PROXIES": 1,
}
