"""Runs a command in a terminal, closes the terminal once a text has come, and prints how the command ended."""

import json
import os
import pty
import sys
import time

until, command = sys.argv[1], sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen = b""
while until.encode() not in seen:
    seen += os.read(terminal, 65536)
os.close(terminal)
deadline = time.time() + 25
while time.time() < deadline:
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}))
        sys.exit()
    time.sleep(0.05)
sys.exit("it did not end")
