"""Passes requests on to a server, but answers 503 itself where the path ends in one of the given: failing_proxy.py SERVER END…

In a process of its own, since the streamer keeps Python's lock while it waits. Prints its port and runs until it is ended.
"""

import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

server, *ends = sys.argv[1:]
PASSED_ON = ("x-api-key", "content-type")


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if any(self.path.rstrip("/").endswith(end) for end in ends):
            return self.answer(503, b'{"detail":"no"}')
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        request = urllib.request.Request(
            server + self.path, data=body or None, headers=headers, method=self.command
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.answer(answer.status, answer.read())
        except urllib.error.HTTPError as refused:
            self.answer(refused.code, refused.read())

    do_GET = do_POST = pass_on

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


listening = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
print(listening.server_address[1], flush=True)
listening.serve_forever()
