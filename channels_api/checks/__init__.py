"""System checks: what is wrong with a project's configuration, and what to do about it."""

from . import configuration, deployment, sockets, tasks

__all__ = ["configuration", "deployment", "sockets", "tasks"]
