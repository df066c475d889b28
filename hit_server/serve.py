"""A web server in this process: threads, a free port when asked, stopped at the end."""

from __future__ import annotations

import logging
import socket
import threading
from types import TracebackType

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from generation.study import UserError


class PortTaken(UserError):
    """Another program listens on the port."""


class QuietHandler(WSGIRequestHandler):
    """Writes no line for each request, keeps connections open, and names no software."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave the request out of the log unless somebody asked for it."""
        logging.getLogger(__name__).debug('"%s" %s %s', self.requestline, code, size)

    def version_string(self) -> str:
        """What the Server header says."""
        return "clearwinner"


class Server:
    """Serves an application from its own thread while the `with` block runs."""

    def __init__(self, app: Flask, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Take the port; 0 takes a free one.

        Raises:
            PortTaken: another program has it.
        """
        # Bound here: werkzeug would print its own advice and exit the whole program.
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            listener.close()
            raise PortTaken(
                f"cannot listen on {host}:{port}: {error.strerror}. Stop the program that has the "
                "port, or give another one with --port (0 takes a free one)."
            ) from None
        listener.listen(128)
        self.host, self.port = host, int(listener.getsockname()[1])
        self._server: BaseWSGIServer = make_server(
            host,
            self.port,
            app,
            threaded=True,
            request_handler=QuietHandler,
            fd=listener.detach(),
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def __enter__(self) -> Server:
        """Start serving."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop serving and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)
