"""Receives webhooks and counts them. The path names the sender's wish: `/<name>?status=500` is answered with 500."""
import http.server
import json
import threading
import time
import urllib.parse


class Receiver:
    def __init__(self):
        self.received, self.lock = [], threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:                  # its sender died
                    self.close_connection = True
                    return
                url = urllib.parse.urlparse(self.path)
                with outer.lock:
                    outer.received.append((time.time(), url.path.strip("/"), json.loads(body)))
                status = int(urllib.parse.parse_qs(url.query).get("status", ["200"])[0])
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 256

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name, status=200):
        return f"http://127.0.0.1:{self.server.server_port}/{name}?status={status}"

    def of(self, name):
        """(time, body) of each post under this name."""
        with self.lock:
            return [(at, body) for at, where, body in self.received if where == name]
