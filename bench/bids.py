"""Seal 100 MB and open 200 bids of 20 MB, beside plain hashing of the same bytes in the same run: python -m bench.bids [--quick].

Each measurement is its own process, so that its peak memory is its own.
"""

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from sync.bid_file import BidFile, seal_file
from sync.bid_package import Source
from sync.bid_unlock import unlock
from sync.envelope import open_for
from sync.wrap import unwrap_share
from tests.data.sealed_bids import PUBLICS, TERMS, TRUSTEES, party

_PIECE = 1024 * 1024
_WHO = party("bench")


def _make(path: Path, megabytes: int) -> None:
    piece = hashlib.shake_256(b"bench").digest(_PIECE)
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(piece)


def _hash_s(path: Path) -> float:
    began = time.perf_counter()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return time.perf_counter() - began


def _seal(profile: str, source: Path, target: Path) -> float:
    content = source.with_name("bid.json")
    content.write_bytes(b"{}")
    began = time.perf_counter()
    with target.open("wb") as file:
        seal_file(
            file,
            replace(TERMS, profile=profile),
            PUBLICS,
            _WHO.identity,
            (Source.of(content), Source.of(source)),
        )
    return time.perf_counter() - began


def _open(path: Path, scratch: Path) -> None:
    with BidFile(path.open("rb")) as bid:
        bid.check_payload()
        shares = {
            i: unwrap_share(key, bid.manifest.context, bid.wraps[f"share-{i}"]) for i, key in enumerate(TRUSTEES[:3], 1)
        }
        got = unlock(bid, publics=PUBLICS, shares=shares, half=open_for(_WHO.holder, bid.wraps["bidder"]))
        if got.key is None:
            raise AssertionError(got.blames)
        package = bid.open_package(got.key, scratch)
        for file in package.files:
            for _ in package.chunks(file):
                pass
        package.close()
        scratch.unlink()


def _measure(profile: str, megabytes: int, count: int) -> dict[str, float | str | int]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "plan.pdf", Path(folder) / "bid.erb"
        _make(source, megabytes)
        hash_s = _hash_s(source)
        cpu = time.process_time()
        seal_s = _seal(profile, source, target)
        seal_cpu_s, cpu = time.process_time() - cpu, time.process_time()
        began = time.perf_counter()
        for _ in range(count):
            _open(target, Path(folder) / "package")
        open_s = time.perf_counter() - began
        open_cpu_s = time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {
        "profile": profile,
        "megabytes": megabytes,
        "hash_s": round(hash_s, 3),
        "seal_s": round(seal_s, 3),
        "seal_cpu_s": round(seal_cpu_s, 3),
        "open_cpu_s": round(open_cpu_s, 2),
        "seal_by_hash": round(seal_s / hash_s, 1),
        "opened": count,
        "open_s": round(open_s, 2),
        "peak_mib": peak,
    }


def main() -> None:
    """Print one JSON line a measurement."""
    if len(sys.argv) == 5:
        print(json.dumps(_measure(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
        return
    quick = "--quick" in sys.argv
    for profile in ("intl-1", "gm-1"):
        for megabytes, count in ((100, 1), (20, 5 if quick else 200)):
            command = (sys.executable, "-m", "bench.bids", "one", profile, str(megabytes), str(count))
            print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
