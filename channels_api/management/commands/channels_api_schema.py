from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...schema import make_schema
from ..documents import DocumentCommand


class Command(DocumentCommand):
    help = "Writes what the project's sockets take and send, as AsyncAPI 3."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--format", choices=["yaml", "json"], default="yaml", help="yaml unless said"
        )

    def make_text(self, **options: Any) -> str:
        write = _to_json if options["format"] == "json" else _to_yaml
        return write(make_schema(warn=self.warn))


def _to_json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _to_yaml(document: dict[str, Any]) -> str:
    try:
        import yaml
    except ImportError as exc:
        raise CommandError(
            "PyYAML is not installed: pip install channels-api[schema], or ask for --format json."
        ) from exc
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return text
