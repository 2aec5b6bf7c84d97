"""The debugger: a page that shows the streams of a project's sockets and talks to them."""
