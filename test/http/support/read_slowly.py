"""Asks for what standard input's first line says, reads a little, waits for another line, reads to the end and says how it ended.

Node is no client for this: where a reset comes with the last bytes, it reports an end in order.
"""

import json
import socket
import sys

port, request = json.loads(sys.stdin.readline())
connection = socket.create_connection(("127.0.0.1", port))
connection.sendall(request.encode())
received = b""
while received.count(b"HTTP/1.1 200") < request.count("GET "):
    received += connection.recv(4096)
print("begun", flush=True)
sys.stdin.readline()
try:
    how = "in order"
    while piece := connection.recv(65536):
        received += piece
except ConnectionResetError:
    how = "reset"
body = received.split(b"\r\n\r\n", received.count(b"HTTP/1.1 200"))[-1]
print(json.dumps({"statuses": received.count(b"HTTP/1.1 200"), "lines": body.count(b"\n"), "how": how}))
