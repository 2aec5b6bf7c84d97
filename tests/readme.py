"""The README's code, as a project on disk that can be started."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.rst"
# A block, and the end of the line before it, which says what it is.
BLOCK = re.compile(
    r"(?:^|[`\s])(?P<caption>[\w./]+\.py|[A-Z][\w ]+)(?:``)?:\n\n"
    r"\.\. code-block:: \w+\n\n(?P<code>(?:    .*\n|\n)+)",
    re.M,
)
# Any block, in any language.
ANY_BLOCK = re.compile(r"^\.\. code-block:: (?P<language>\w+)\n\n(?P<code>(?:    .*\n|\n)+)", re.M)

# What stands before it, written by `django-admin startproject`.
SETTINGS = """
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
STATIC_URL = "static/"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
SECRET_KEY = "only for tests"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "proj.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
"""
URLS = """
from django.contrib import admin
from django.urls import path
urlpatterns = [path("admin/", admin.site.urls)]
"""
MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proj.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def blocks(page: Path = README) -> dict[str, str]:
    """A page's code blocks by the file's name, or by the words that stand before them."""
    text = page.read_text()
    return {
        match["caption"]: textwrap.dedent(match["code"]).strip() + "\n"
        for match in BLOCK.finditer(text)
    }


def write_project(directory: Path) -> None:
    """The quickstart's files, and those that every project has."""
    files = {caption: code for caption, code in blocks().items() if caption.endswith(".py")}
    files["proj/settings.py"] = SETTINGS + files["proj/settings.py"]
    files |= {"manage.py": MANAGE, "proj/urls.py": URLS}
    files |= {"proj/__init__.py": "", "polls/__init__.py": ""}
    for name, code in files.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)


def write_tasks(directory: Path) -> None:
    """What the section about tasks adds to the quickstart's project."""
    code = blocks()
    (directory / "proj/__init__.py").write_text(code["proj/__init__.py"])
    settings = directory / "proj/settings.py"
    settings.write_text(settings.read_text() + code["For development"])
    routing = directory / "proj/routing.py"
    consumers = '{"reports": ReportBinding.consumer, "tasks": TaskBinding.consumer, '
    routing.write_text(
        "from channels_api.tasks import TaskBinding\nfrom polls.reports import ReportBinding\n"
        + routing.read_text().replace("consumers = {", f"consumers = {consumers}")
    )
    (directory / "proj/urls.py").write_text(
        "from rest_framework.routers import SimpleRouter\nfrom polls.reports import ReportViewSet\n"
        "router = SimpleRouter()\n"
        'router.register("reports", ReportViewSet, basename="report")\n'
        "urlpatterns = router.urls\n"
    )


def run(directory: Path, *arguments: str, **variables: str) -> str:
    """Run one of the project's Python files to its end and return what it printed."""
    root = str(README.parent)
    env = {**os.environ, "PYTHONPATH": root, "DJANGO_SETTINGS_MODULE": "proj.settings"}
    env |= variables
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
