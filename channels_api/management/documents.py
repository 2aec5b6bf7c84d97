"""What the commands share that write a text made of the project's streams."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser


class DocumentCommand(BaseCommand):
    """Writes its text to stdout or into a file; or compares a file with it, for CI.

    A subclass gives `make_text(**options)`. `--check` exits with 1, and a unified diff on stderr,
    where the file holds something else.
    """

    # Nothing of the project is used: what is not set up yet is no matter.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        target = parser.add_mutually_exclusive_group()
        target.add_argument(
            "--output", metavar="FILE", type=Path, help="write into FILE instead of to stdout"
        )
        target.add_argument(
            "--check", metavar="FILE", type=Path, help="write nothing; exit 1 if FILE differs"
        )

    def make_text(self, **options: Any) -> str:
        """The text, with the end of its last line."""
        raise NotImplementedError

    def warn(self, sentence: str) -> None:
        """Tell of what the text leaves open."""
        self.stderr.write(f"Warning: {sentence}")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            text = self.make_text(**options)
        except ImproperlyConfigured as exc:
            raise CommandError(str(exc)) from exc
        if options["check"]:
            self._check(options["check"], text)
        elif options["output"]:
            options["output"].write_text(text, encoding="utf-8")
        else:
            self.stdout.write(text, ending="")

    def _check(self, path: Path, text: str) -> None:
        try:
            found = path.read_text(encoding="utf-8")
        except FileNotFoundError as exc:
            raise CommandError(f"There is no file {path}.") from exc
        if found != text:
            old, new = found.splitlines(keepends=True), text.splitlines(keepends=True)
            self.stderr.write("".join(unified_diff(old, new, str(path), "made now")))
            raise CommandError(f"{path} differs from what is made now: write it with --output.")
