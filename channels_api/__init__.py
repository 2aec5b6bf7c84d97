"""REST over one WebSocket for Django: bindings are to a socket what viewsets are to HTTP."""

__version__ = "1.0.0.dev0"
