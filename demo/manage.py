#!/usr/bin/env python
"""The demo's command line: `python demo/manage.py demo` starts the site."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proj.settings")
    execute_from_command_line(sys.argv)
