"""The port where Prometheus reads the switch's metrics, in plain HTTP. Used by `bootstrap`."""

from __future__ import annotations

from wsgiref.simple_server import WSGIServer

from prometheus_client import GC_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry, start_http_server

from kessai.complaint import Complaint


class MetricsPort:
    """A registry, and the port that shows it once it serves."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._server: WSGIServer | None = None

    def serve(self, listen: str) -> str:
        """Serve at host:port, "" for not at all; Complaint if it is in use. Where comes back."""
        if not listen:
            return ""
        for collector in (PROCESS_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)
        host, _, port = listen.rpartition(":")
        try:
            self._server, _ = start_http_server(int(port), host, self.registry)
        except OSError as error:
            raise Complaint(
                f"the metrics port {listen} cannot be listened on ({error.strerror}). "
                "Change metrics_listen in kessai.toml."
            ) from None
        return f"{host}:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
