"""An ellipsometer as its network side looks: commands framed in bytes, answered with a status and float32 readings."""

import math
import socket
import struct
import threading

FRAME = b"\x03\x02\x01"
SET_MODEL, GET_PARAMETERS, START, STOP = 12, 14, 17, 21
OK, BUSY = b"\x00", b"\x01"
PARAMETERS = ("thickness", "psi_465", "delta_465", "mse_fit")
# The instrument has no fit for so many readings in a row, and then one again for as many.
READINGS_WITHOUT_FIT = 30


class Ellipsometer:
    """Listens on a free port, serves one connection after the other and remembers what it has handed out."""

    def __init__(self):
        self.handed_out = []
        self.models = []
        self._running = False
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._socket.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._converse(connection)

    def _converse(self, connection):
        # A client that is killed leaves in the middle of a frame or of an answer.
        try:
            while (head := connection.recv(4, socket.MSG_WAITALL)) and len(head) == 4:
                assert head[:3] == FRAME, head
                connection.sendall(self._answer(head[3], connection))
        except ConnectionError:
            pass

    def _answer(self, command, connection):
        if command == SET_MODEL:
            self.models.append(connection.recv(1)[0])
        elif command == START:
            self._running = True
        elif command == STOP:
            self._running = False
        elif command == GET_PARAMETERS:
            return self._parameters() if self._running else BUSY
        return OK

    def _parameters(self):
        count = len(self.handed_out)
        shown = {
            "thickness": 20 + 0.037 * count,
            "psi_465": 30 + math.sin(count / 9),
            "delta_465": 120 + 10 * math.cos(count / 7),
        }
        if (count // READINGS_WITHOUT_FIT) % 2 == 0:
            shown["mse_fit"] = 0.002 + count / 1e6
        self.handed_out.append({name: _as_float32(value) for name, value in shown.items()})
        named = (bytes([len(name)]) + name.encode() + struct.pack("<f", value) for name, value in shown.items())
        return OK + bytes([len(shown)]) + b"".join(named)


class Instrument:
    """The other side of the wire."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)

    def command(self, number, payload=b""):
        self._socket.sendall(FRAME + bytes([number]) + payload)
        assert self._read(1) == OK

    def parameters(self):
        self.command(GET_PARAMETERS)
        shown = {}
        for _ in range(self._read(1)[0]):
            name = self._read(self._read(1)[0]).decode()
            (shown[name],) = struct.unpack("<f", self._read(4))
        return shown

    def _read(self, size):
        got = self._socket.recv(size, socket.MSG_WAITALL)
        assert len(got) == size, "the instrument hung up"
        return got


def _as_float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]
