"""A hub with one gated model on 127.0.0.1, for Scripts/image.sh: image_hub.py FOLDER ORG/NAME TOKEN PORT_FILE

Answers the three questions that a download asks (revision, tree, file), and only with the token. Refusals are noted in PORT_FILE.refused.
"""

import hashlib
import http.server
import json
import pathlib
import sys
import urllib.parse

folder, name, token, port_file = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
COMMIT = hashlib.sha1(name.encode()).hexdigest()
files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and not path.name.startswith("golden")}
etags = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = urllib.parse.unquote(self.path.partition("?")[0])
        if self.headers.get("Authorization") != f"Bearer {token}":
            with open(port_file + ".refused", "a") as file:
                file.write(path + "\n")
            return self.answer(401, b'{"error": "gated"}', [("X-Error-Code", "GatedRepo")])
        if path == f"/api/models/{name}/revision/main":
            return self.answer(200, json.dumps({"sha": COMMIT}).encode(), [("Content-Type", "application/json")])
        if path == f"/api/models/{name}/tree/{COMMIT}":
            tree = [{"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
                     "lfs": {"oid": etags[path], "size": len(data), "pointerSize": 130}} for path, data in files.items()]
            return self.answer(200, json.dumps(tree).encode(), [("Content-Type", "application/json")])
        prefix = f"/{name}/resolve/{COMMIT}/"
        data = files.get(path.removeprefix(prefix)) if path.startswith(prefix) else None
        if data is None:
            return self.answer(404, b'{"error": "not found"}', [("X-Error-Code", "EntryNotFound")])
        self.answer(200, data, [("ETag", f'"{etags[path.removeprefix(prefix)]}"'), ("X-Repo-Commit", COMMIT)])

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
pathlib.Path(port_file).write_text(str(server.server_port))
server.serve_forever()
