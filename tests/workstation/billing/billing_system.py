"""A billing system that misbehaves as real ones do, and keeps books of what it has accepted."""

import random
import socket
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

from tests.workstation.hl7.test_syntax import AT
from workstation.hl7.acknowledgement import acknowledgement, control_id_of
from workstation.hl7.mllp import frame
from workstation.hl7.reader import read_message

# What it does with a message, and how often. `kept` things are in its books although we hear nothing of it.
FAULTS = {
    "accepts": 68,
    "is slow": 4,
    "refuses (AE)": 6,
    "rejects (AR)": 1,
    "keeps it and closes": 4,
    "closes before it reads": 3,
    "reads and closes": 4,
    "keeps it and sends half an answer": 4,
    "sends half an answer": 2,
    "answers another message": 2,
    "talks nonsense": 2,
}


class Books:
    """What billing has, by FT1-2. A message that comes again with the same MSH-10 is the same message."""

    def __init__(self) -> None:
        self.messages: dict[str, bytes] = {}
        self.charges: dict[str, tuple[str, str, str, str, tuple[str, ...], tuple[str, ...]]] = {}
        self.credited: dict[str, tuple[str, str, str, str, tuple[str, ...], tuple[str, ...]]] = {}
        self.complaints: list[str] = []

    def keep(self, body: bytes) -> None:
        control_id = control_id_of(body)
        if control_id in self.messages:
            if self.messages[control_id] != body:
                self.complaints.append(f"{control_id} came again with other bytes")
            return
        self.messages[control_id] = body
        message = read_message(body)
        pid = message.first("PID")
        assert pid is not None
        diagnoses = tuple(dg1.text(3) for dg1 in message.all("DG1"))
        for ft1 in message.all("FT1"):
            key, kind = ft1.text(2), ft1.text(6)
            modifiers = tuple(ft1.text(26, of=each) for each in ft1.repetitions(26))
            entry = (ft1.text(23), pid.text(3), pid.text(18), ft1.text(7), modifiers, diagnoses)
            if kind == "CG":
                if key in self.charges or key in self.credited:
                    self.complaints.append(f"charge {key} came twice")
                self.charges[key] = entry
            elif key not in self.charges:
                self.complaints.append(f"credit of {key}, which is not out")
            elif self.charges[key] != entry:
                self.complaints.append(f"credit of {key} says other things than the charge")
            else:
                self.credited[key] = self.charges.pop(key)


class Billing:
    """The receiver, on a port that the system chose and that it keeps when it dies and comes back."""

    def __init__(self, seed: int) -> None:
        self.books = Books()
        self.did: Counter[str] = Counter()
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.faulty = True

    def __enter__(self) -> Self:
        self.revive()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.die()
        for thread in self._threads:
            thread.join()

    def die(self) -> None:
        """Stop listening; connections that are open break."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            # A blocked accept is woken by a shutdown.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self.did["dies"] += 1

    def revive(self) -> None:
        """Listen again, on the same port."""
        with self._lock:
            if self._listener is not None:
                return
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self.port = self._listener.getsockname()[1]
            thread = threading.Thread(target=self._accept, args=(self._listener,), name="billing")
            self._threads.append(thread)
            thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    self._serve(connection)
                except OSError:
                    continue

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            what = self._rng.choices(list(FAULTS), list(FAULTS.values()))[0] if self.faulty else "accepts"
            pause_s = self._rng.random() * 0.05
        if what == "closes before it reads":
            self.did[what] += 1
            return
        received = b""
        while not received.endswith(b"\x1c\x0d"):
            chunk = connection.recv(65536)
            if not chunk:
                self.did["was cut off"] += 1
                return
            received += chunk
        body = received[1:-2]
        self.did[what] += 1
        if what in ("accepts", "is slow", "keeps it and closes", "keeps it and sends half an answer"):
            self.books.keep(body)
        if what == "is slow":
            time.sleep(pause_s)  # the fault itself, not a way to wait for anything
        codes = {"refuses (AE)": "AE", "rejects (AR)": "AR"}
        answer = frame(acknowledgement(body, codes.get(what, "AA"), at=AT))  # type: ignore[arg-type]
        if what in ("accepts", "is slow", "refuses (AE)", "rejects (AR)"):
            connection.sendall(answer)
        elif what.endswith("half an answer"):
            connection.sendall(answer[: len(answer) // 2])
        elif what == "answers another message":
            other = body.replace(control_id_of(body).encode(), b"SOMEBODYELSES")
            connection.sendall(frame(acknowledgement(other, "AA", at=AT)))
        elif what == "talks nonsense":
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
