"""Holds a listening socket as systemd does, and starts servers on it: hold.py PORT PROGRAM ARGUMENT...

Each line "start" on standard input starts one server with the socket as its file 3 and prints its process id. The socket stays
when a server ends, so connections that come meanwhile wait in the kernel. Ends when standard input does.
"""

import os
import socket
import sys

held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
held.bind(("127.0.0.1", int(sys.argv[1])))
held.listen(4096)
program = sys.argv[2:]
print("held", flush=True)
if os.environ.get("UNHELD"):
    held.close()

for line in sys.stdin:
    if line.strip() != "start":
        continue
    child = os.fork()
    if child == 0:
        if not os.environ.get('UNHELD') and held.fileno() != 3:
            os.dup2(held.fileno(), 3)
        if not os.environ.get('UNHELD'): os.set_inheritable(3, True)
        if not os.environ.get('UNHELD'): os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="metrology-server.socket")
        os.execvp(program[0], program)
    print(child, flush=True)
