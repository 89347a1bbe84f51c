"""HL7 engines that are not ours. python-hl7 takes our charges over its own MLLP server and reads what we mean; its
client sends us orders. A Node.js engine takes our charges where it is installed."""

import asyncio
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hl7
import pytest
from hl7.mllp import open_hl7_connection, start_hl7_server

from tests.workstation.desk import desk
from tests.workstation.hl7.test_syntax import AT, LINE, SUBJECT
from tests.workstation.orders.ris import Ris, Study, config
from workstation.billing.dft import charge_message
from workstation.charge import Line
from workstation.destinations import MllpDestination
from workstation.hl7 import mllp
from workstation.hl7.mllp import MllpListener
from workstation.hl7.syntax import Form, Version

VERSIONS: tuple[Version, ...] = ("2.3", "2.3.1", "2.5.1")
NODE = shutil.which("node")
# A folder with node_modules/node-hl7-server in it (`npm install node-hl7-server` there).
NODE_FOLDER = os.environ.get("NODE_HL7", "")


class PythonHl7:
    """An engine's receiver in a thread with an event loop of its own. messages : as it has parsed them."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.port = 0

    async def _serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        answering: list[Any] = []

        async def receive(reader: Any, writer: Any) -> None:
            answering.append(asyncio.current_task())
            while not writer.is_closing():
                try:
                    message = await reader.readmessage()
                except asyncio.IncompleteReadError:
                    break
                self.messages.append(message)
                writer.writemessage(message.create_ack("AA"))
                await writer.drain()
            writer.close()
            await writer.wait_closed()

        async with await start_hl7_server(receive, host="127.0.0.1", port=0, encoding="utf-8") as server:
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            await stop.wait()
        await asyncio.gather(*answering)


@contextmanager
def python_hl7() -> Iterator[PythonHl7]:
    engine, started = PythonHl7(), threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(engine._serve(started, stop)))
    thread.start()
    assert started.wait(30)
    try:
        yield engine
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("credit", [False, True], ids=["charge", "credit"])
def test_an_engine_takes_and_reads_our_charges(version: Version, credit: bool) -> None:
    technical = Line("76377", ("TC",), 1, "70486", "technical")
    body = charge_message([technical, LINE], SUBJECT, at=AT, form=Form(version), credit=credit)
    with python_hl7() as engine:
        assert mllp.send("127.0.0.1", engine.port, body, 30).code == "AA"
    (message,) = engine.messages
    assert str(message["MSH"][0][9]).startswith("DFT^P03")
    assert str(message["MSH"][0][12]) == version
    assert [str(ft1[6]) for ft1 in message["FT1"]] == ["CR" if credit else "CG"] * 2
    assert {str(ft1[7][0][0]) for ft1 in message["FT1"]} == {"76377"}
    assert [str(ft1[23]) for ft1 in message["FT1"]] == ["ACC1", "ACC1"]
    assert str(message["PID"][0][3][0][0]) == "PAT1"
    assert str(message["PID"][0][18]) == "A77"
    assert [str(dg1[3][0][0]) for dg1 in message["DG1"]] == ["S02.2XXA", "S03"]
    modifiers = ["TC", "26"]
    if version == "2.3":
        assert [str(ft1[25][0][3]) for ft1 in message["FT1"]] == modifiers
    else:
        assert [str(ft1[26]) for ft1 in message["FT1"]] == modifiers


def test_names_come_through_an_engine_as_they_are() -> None:
    from dataclasses import replace

    body = charge_message([LINE], replace(SUBJECT, patient_name="O|Neil&Söhne^Łukasz~"), at=AT)
    with python_hl7() as engine:
        mllp.send("127.0.0.1", engine.port, body, 30)
    (message,) = engine.messages
    assert message.unescape(str(message["PID"][0][5][0][0])) == "O|Neil&Söhne"
    assert message.unescape(str(message["PID"][0][5][0][1])) == "Łukasz~"


def test_an_engine_as_ris_and_billing(tmp_path: Path) -> None:
    """Orders and reports come from python-hl7's client, the charge goes to its server."""

    async def send(port: int, bodies: list[bytes]) -> list[str]:
        reader, writer = await open_hl7_connection("127.0.0.1", port, encoding="utf-8")
        answers = []
        for body in bodies:
            writer.writemessage(hl7.parse(body.decode()))
            await writer.drain()
            answers.append(str((await reader.readmessage())["MSA"][0][1]))
        writer.close()
        await writer.wait_closed()
        return answers

    study = Study("ACC1")
    ris = Ris(study)
    with python_hl7() as engine:
        where = MllpDestination(name="billing", takes=("charges",), port=engine.port)
        with desk(tmp_path, config(where)) as here, MllpListener(here.answer) as listener:
            here.sr(study)
            bodies = [ris.order(), ris.report(), ris.order()[:-5]]
            assert asyncio.run(send(listener.port, bodies)) == ["AA", "AA", "AA"]
            here.hear()
            here.deliver()
            assert here.charges() == [("76377", "acknowledged")]
        assert len(engine.messages) == 1


_RECEIVER = """
const { Server } = require('node-hl7-server')
const server = new Server({ bindAddress: '127.0.0.1' })
const inbound = server.createInbound({ port: Number(process.argv[1]) }, async (req, res) => {
  const m = req.getMessage()
  const at = (path) => { const node = m.get(path); return node.isEmpty() ? '' : node.toString() }
  console.log(JSON.stringify({
    type: at('MSH.9'), version: at('MSH.12'), kind: at('FT1.6'), code: at('FT1.7.1'), accession: at('FT1.23'),
    patient: at('PID.3.1'), key: at('FT1.2'),
  }))
  await res.sendResponse('AA')
})
inbound.on('listen', () => console.log(JSON.stringify({ listening: true })))
"""


@pytest.mark.campaign
@pytest.mark.skipif(
    NODE is None or not (Path(NODE_FOLDER) / "node_modules" / "node-hl7-server").is_dir(),
    reason="no Node.js engine: npm install node-hl7-server in a folder, and name it in NODE_HL7",
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_node_engine_takes_our_charges(version: Version, free_port: int) -> None:
    body = charge_message([LINE], SUBJECT, at=AT, form=Form(version))
    process = subprocess.Popen(
        [str(NODE), "-e", _RECEIVER, str(free_port)],
        cwd=NODE_FOLDER, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    limit = threading.Timer(60, process.kill)
    limit.start()
    try:
        assert process.stdout is not None and process.stderr is not None
        first = process.stdout.readline()
        assert first, process.stderr.read()
        assert json.loads(first) == {"listening": True}
        assert mllp.send("127.0.0.1", free_port, body, 30).code == "AA"
        seen = json.loads(process.stdout.readline())
    finally:
        limit.cancel()
        process.kill()
        process.communicate()
    assert (seen["version"], seen["kind"], seen["code"]) == (version, "CG", "76377")
    assert (seen["accession"], seen["patient"]) == ("ACC1", "PAT1")


@pytest.fixture
def free_port() -> int:
    """A port that the system chose. The engine takes a number only."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
