"""Health and metrics over HTTP, for this machine only. Source: Prometheus text exposition format 0.0.4."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with its samples: labels as text between braces, or empty, to value."""

    name: str
    kind: str
    help: str
    samples: Mapping[str, float]

    def text(self) -> str:
        lines = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} {self.kind}"]
        lines += [
            f"{self.name}{'{' + labels + '}' if labels else ''} {value:.17g}" for labels, value in self.samples.items()
        ]
        return "\n".join(lines) + "\n"


class Monitor:
    """Answers GET /health (200, or 503 where nothing runs) and GET /metrics. Use as a context manager.

    health : returns (whether the answer is 200, details for JSON). metrics : called with every request.

    Raises OSError when the port is taken.
    """

    def __init__(
        self,
        port: int,
        health: Callable[[], tuple[bool, dict[str, Any]]],
        metrics: Callable[[], list[Metric]],
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/health":
                    fine, words = health()
                    self._answer(200 if fine else 503, "application/json", json.dumps(words))
                elif self.path == "/metrics":
                    text = "".join(metric.text() for metric in metrics())
                    self._answer(200, "text/plain; version=0.0.4; charset=utf-8", text)
                else:
                    self._answer(404, "text/plain", "There are /health and /metrics.\n")

            def _answer(self, code: int, kind: str, text: str) -> None:
                body = text.encode()
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Logs nothing: a line for every request would hide the others."""

        Handler.timeout = 10
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="monitor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
