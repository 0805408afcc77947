"""Go's own x/mod (sumdb/note, sumdb/tlog), as Debian packages it, verifies our notes, tiles and every entry."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.data.sample_log import LOG, SampleLog, members

SOURCE = Path(__file__).parent / "xmod" / "main.go"
GO = shutil.which("go", path=f"/usr/lib/go-1.19/bin{os.pathsep}{os.environ.get('PATH', '')}")
GOPATH = Path("/usr/share/gocode")

pytestmark = pytest.mark.skipif(
    GO is None or not (GOPATH / "src/golang.org/x/mod/sumdb/tlog").is_dir(),
    reason="needs Debian's golang-1.19-go and golang-golang-x-mod-dev",
)


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """The compiled judge, as a function of a folder."""
    built = tmp_path_factory.mktemp("xmod") / "judge"
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": str(GOPATH),
        "GOCACHE": str(built.parent / "cache"),
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }
    made = subprocess.run(
        [str(GO), "build", "-o", str(built), str(SOURCE)], env=environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr

    def call(folder: Path) -> tuple[int, str]:
        done = subprocess.run(
            [str(built), str(LOG.vkey), str(folder)], capture_output=True, text=True, check=False, timeout=60
        )
        return done.returncode, done.stdout.strip() + done.stderr

    return call


def unpacked(log: SampleLog, folder: Path) -> Path:
    for name, data in members(log.bundle(proofs={})).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.mark.parametrize("size", [1, 255, 256, 257, 70_000])
def test_go_verifies_note_tiles_and_every_entry(judge, tmp_path, size):
    log = SampleLog.of(size) if size < 1_000 else SampleLog([b"entry %d" % i for i in range(size)])
    assert judge(unpacked(log, tmp_path)) == (0, f"ok {size}")


@pytest.mark.parametrize(
    ("name", "at", "found"),
    [
        ("tile/entries/000", 40, "entry 0 does not match"),
        ("tile/0/000", 40, "entry 1 does not match"),
        ("checkpoint", 0, "invalid signature"),
    ],
)
def test_go_finds_the_changed_byte(judge, tmp_path, name, at, found):
    path = unpacked(SampleLog.of(300), tmp_path) / name
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))
    status, said = judge(tmp_path)
    assert (status, found in said) == (1, True), said
