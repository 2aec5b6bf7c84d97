"""The README's code, as a project on disk that can be started."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.rst"
BLOCK = re.compile(
    r"^\.\. code-block:: \w+\n    :caption: (?P<caption>.+)\n\n(?P<code>(?:    .*\n|\n)+)", re.M
)

# What a project has besides, written by `django-admin startproject`.
REST_OF_SETTINGS = """
SECRET_KEY = "only for tests"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "proj.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
"""
MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proj.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def blocks() -> dict[str, str]:
    """The README's code blocks by their captions."""
    text = README.read_text()
    return {
        match["caption"]: textwrap.dedent(match["code"]).strip() + "\n"
        for match in BLOCK.finditer(text)
    }


def write_project(directory: Path) -> None:
    """The quickstart's files, and those that every project has."""
    files = {caption: code for caption, code in blocks().items() if caption.endswith(".py")}
    files["proj/settings.py"] += REST_OF_SETTINGS
    files |= {"manage.py": MANAGE, "proj/urls.py": "urlpatterns = []\n"}
    files |= {"proj/__init__.py": "", "polls/__init__.py": ""}
    for name, code in files.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)


def run(directory: Path, *arguments: str) -> str:
    """Run one of the project's Python files to its end and return what it printed."""
    root = str(README.parent)
    env = {**os.environ, "PYTHONPATH": root, "DJANGO_SETTINGS_MODULE": "proj.settings"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=env,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
