"""`manage.py demo [PORT]`: from nothing to a running site."""

import os
import socket
import sys

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command

from polls.samples import fill_in

HOST = "127.0.0.1"

BANNER = """
The demo runs at     {address}/
    open it in two windows, vote in one and watch the other
The debugger         {address}/channels-api/    every stream and action, to try out
The same over HTTP   {address}/api/
A task over HTTP     curl -i {address}/api/reports/    then the address in its Location
The debugger         {address}/channels-api/    send any frame, and see them all
The admin            {address}/admin/    log in as admin, password admin
Another account      demo, password demo

To try the socket by hand, paste this into the browser's console on that page:

    ws = new WebSocket(`ws://${{location.host}}/ws/`); \
ws.onmessage = event => console.log(event.data); \
ws.onopen = () => ws.send(JSON.stringify({{stream: "questions", payload: {{action: "list"}}}}))

Or, from a script that shows all of it:

    {python} -m pip install websockets && {python} demo/walkthrough.py {address}
"""


class Command(BaseCommand):
    help = "Migrates, fills in a few polls, and serves the demo on this machine only."

    def add_arguments(self, parser):
        parser.add_argument("port", nargs="?", type=int, default=8000, help="8000 by default")

    def handle(self, *args, port, **options):
        if not settings.DEBUG:
            raise CommandError(
                "The demo makes accounts whose passwords are public, so it runs with DEBUG only."
            )
        require_free(port)
        call_command("migrate", interactive=False, verbosity=0)
        fill_in()
        address, python = f"http://{HOST}:{port}", os.path.relpath(sys.executable)
        self.stdout.write(BANNER.format(address=address, python=python))
        self.stdout.flush()  # a pipe would keep it back for as long as the server runs
        # Daphne's runserver. Without its reloader there is one process, as promised; and the
        # reloader would start this very command again, port check and all. To work on the demo,
        # `manage.py runserver` reloads.
        call_command("runserver", f"{HOST}:{port}", use_reloader=False)


def require_free(port: int) -> None:
    """CommandError if no server can listen on the port.

    Asked before anything else happens, since the server only logs it, at the very end.
    """
    if not 0 < port < 65536:
        raise CommandError(f"{port} is no port: ports go from 1 to 65535.")
    with socket.socket() as probe:
        if os.name == "posix":
            # As the server does; otherwise a port is taken for a minute after it was closed. On
            # Windows the option means something else: that a port may be taken twice.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            other = port + 1000 if port < 60000 else 8000
            raise CommandError(
                f"Port {port} is not free: {error.strerror}. Choose another one, for example: "
                f"make demo PORT={other}"
            ) from None
