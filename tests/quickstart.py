"""The README's project as a server."""

from collections.abc import Mapping
from pathlib import Path

from tests import readme
from tests.servers import AppServer


class QuickstartServer(AppServer):
    """The quickstart's project, as its reader would start it."""

    def __init__(self, kind: str, directory: Path, *, env: Mapping[str, str] | None = None) -> None:
        super().__init__(kind, "proj.asgi:application", env=env)
        self.working_directory = directory

    def environment(self) -> dict[str, str]:
        paths = {"PYTHONPATH": f"{self.working_directory}:{readme.README.parent}"}
        return {**super().environment(), "DJANGO_SETTINGS_MODULE": "proj.settings", **paths}
