from __future__ import annotations

from typing import Any

from ...schema import make_schema
from ...schema.typescript import to_typescript
from ..documents import DocumentCommand


class Command(DocumentCommand):
    help = "Writes TypeScript types of the project's streams, for the client."

    def make_text(self, **options: Any) -> str:
        return to_typescript(make_schema(warn=self.warn))
