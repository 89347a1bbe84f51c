"""Sending: us beside pynetdicom and DCMTK's storescu, to the same receiver (DCMTK's storescp, which flushes nothing).

`python -m tests.benchmarks.bench_send [--ct 200] [--mr 400] [--times 5]`. CT is 512 x 512, MR 256 x 256, both of 16
bits, uncompressed, as `bench_node` writes them. We and pynetdicom send from this process, storescu from its own; one
association each, and ours with four. TCP_NODELAY is set for DCMTK. Medians, in turns.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pynetdicom import AE

from dicom_io.files.series import Instance, read_instance
from dicom_io.network.requestor import Peer
from dicom_io.network.send import send
from tests.benchmarks.bench_node import receiver, write
from tests.benchmarks.bench_node import send as storescu


def ours(instances: list[Instance], peer: Peer, associations: int) -> None:
    assert all(sent.accepted for sent in send(instances, peer, associations=associations))


def pynetdicom(instances: list[Instance], peer: Peer) -> None:
    ae = AE()
    ae.maximum_pdu_size = 0
    ae.add_requested_context(instances[0].sop_class_uid, instances[0].transfer_syntax_uid)
    association = ae.associate(peer.host, peer.port, ae_title=peer.ae_title)
    lost = 0
    for instance in instances:
        if not association.is_established:  # an answer was lost, and it has given up
            lost += 1
            association = ae.associate(peer.host, peer.port, ae_title=peer.ae_title)
        association.send_c_store(instance.path)
    association.release()
    if lost:
        print(f"  pynetdicom's association ended {lost} times")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--ct", type=int, default=200)
    options.add_argument("--mr", type=int, default=400)
    options.add_argument("--times", type=int, default=5)
    given = options.parse_args()
    os.environ["TCP_NODELAY"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        for kind, count, rows in (("CT 512", given.ct, 512), ("MR 256", given.mr, 256)):
            size = write(top / kind, count, rows, kind)
            files = sorted((top / kind).iterdir())
            instances = [read_instance(file) for file in files]
            senders: dict[str, Callable[[Peer], None]] = {
                "workstation": lambda peer, i=instances: ours(i, peer, 1),  # type: ignore[misc]
                "workstation x 4": lambda peer, i=instances: ours(i, peer, 4),  # type: ignore[misc]
                "pynetdicom": lambda peer, i=instances: pynetdicom(i, peer),  # type: ignore[misc]
                "storescu": lambda peer, f=files: storescu(peer, [f]),  # type: ignore[misc]
            }
            took: dict[str, list[float]] = {name: [] for name in senders}
            for turn in range(given.times):
                names = list(senders)
                for name in names[turn % len(names) :] + names[: turn % len(names)]:
                    with receiver("storescp", top / f"{kind} {turn} {name}") as (peer, _):
                        start = time.perf_counter()
                        senders[name](peer)
                        took[name].append(time.perf_counter() - start)
            print(f"{kind}: {count} instances, {size / 1e6:.0f} MB")
            fastest = statistics.median(took["workstation"])
            for name, times in took.items():
                seconds = statistics.median(times)
                speed = f"{size / 1e6 / seconds:6.0f} MB/s {count / seconds:6.0f} instances/s"
                print(f"  {name:16} {speed}   we are {seconds / fastest:5.2f} times as fast")


if __name__ == "__main__":
    main()
