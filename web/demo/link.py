"""The line between county and prefecture, as a wire that can be cut and healed (模拟专线): a TCP relay in its own thread."""

import contextlib
import selectors
import socket
import threading


class Link:
    """Relays 127.0.0.1:`port` to 127.0.0.1:`target`. Cut: open connections die and new ones are refused."""

    def __init__(self, port: int, target: int) -> None:
        """Remember the ends; `heal` starts listening."""
        self.port = port
        self._target = target
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def whole(self) -> bool:
        """Whether the line carries traffic."""
        return self._listener is not None

    def heal(self) -> None:
        """Let traffic through again."""
        if self._listener is not None:
            return
        listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Stop carrying: close the listener and every open connection."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), selectors.DefaultSelector() as waiting:
            for side, other in ((near, far), (far, near)):
                waiting.register(side, selectors.EVENT_READ, (side, other))
            while True:
                for side, other in [key.data for key, _ in waiting.select()]:
                    data = side.recv(65_536)
                    if not data:
                        raise OSError
                    other.sendall(data)
        for side in (near, far):
            with self._lock:
                self._open.discard(side)
            side.close()
