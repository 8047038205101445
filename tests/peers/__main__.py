"""Run the peers whose names are given, or all, and say what passed: `python -m tests.peers [flask …]`."""

from __future__ import annotations

import importlib
import sys

import dev
from tests.peers.harness import Peer, Report, report_of, source_of


def main(names: list[str]) -> int:
    """Run them, and return 1 if anything failed that no exception covers."""
    found = [path.stem.removeprefix("peer_") for path in sorted((dev.ROOT / "tests" / "peers").glob("peer_*.py"))]
    peers = [peer for name in names or found for peer in importlib.import_module(f"tests.peers.peer_{name}").PEERS]
    reports = [(peer, report_of(peer.run(source_of(peer)), peer.exceptions)) for peer in peers]
    for peer, report in reports:
        tell(peer, report)
    return 1 if any(report.unexpected or not report.run for _, report in reports) else 0


def tell(peer: Peer, report: Report) -> None:
    """Print one peer's figures, and whatever did not pass."""
    excused = sum(map(len, report.excused.values()))
    print(f"{peer.requirement}: {report.run} run, {report.passed} passed, {report.skipped} skipped, {excused} excused")
    for reason, ids in report.excused.items():
        print(f"    {len(ids)} not applicable: {reason}", *ids, sep="\n        ")
    for line in report.unexpected:
        print(f"    UNEXPECTED {line}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
