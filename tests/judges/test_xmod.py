"""Go's own x/mod (sumdb/note, sumdb/tlog), as Debian packages it, verifies an exported log: signature and cosignatures,
every tile, every entry, our proofs; and it names the file in which damage was planted, as our own verifier does.
"""

import base64
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sync.bundle import ZipMembers
from sync.merkle import consistency_proof
from sync.note import NoteSignature, SignedNote, Signer
from sync.tampered import Problem
from sync.verify import verify_bundle
from tests.data.sample_log import LOG, ORIGIN, WITNESSES, SampleLog, members, policy_of, zipped

SIZES = [1, 255, 256, 257, 65_536, 70_000]
SOURCE = Path(__file__).parent / "xmod" / "main.go"
GO = shutil.which("go", path=f"/usr/lib/go-1.19/bin{os.pathsep}{os.environ.get('PATH', '')}")
GOPATH = Path("/usr/share/gocode")
KEYS = ",".join(str(signer.vkey) for signer in (LOG, *WITNESSES))

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
        done = subprocess.run([str(built), KEYS, str(folder)], capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, done.stdout.strip() + done.stderr

    return call


def files_of(log: SampleLog) -> dict[str, bytes]:
    """The files of a bundle, with proofs of some entries, and of some older sizes."""
    some = sorted({0, log.size // 2, log.size - 1})
    files = members(log.bundle(proofs={f"{index}": log.proof(index) for index in some}))
    for old in {size for size in (1, log.size // 2 + 1, log.size - 1, 256, 512) if 0 < size < log.size}:
        hashes = [log.checkpoint(old).root, *consistency_proof(log, old, log.size)]
        files[f"consistency/{old}"] = b"".join(base64.b64encode(one) + b"\n" for one in hashes)
    return files


def unpacked(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.mark.parametrize("size", SIZES)
def test_go_verifies_signatures_tiles_proofs_and_every_entry(judge, tmp_path, size):
    log = SampleLog.of(size) if size < 1_000 else SampleLog([b"entry %d" % i for i in range(size)])
    files = files_of(log)
    proofs, older = (sum(name.startswith(part) for name in files) for part in ("proofs/", "consistency/"))
    cosigners = " ".join(sorted(witness.vkey.name for witness in WITNESSES))
    said = f"ok {size}, cosigned by {cosigners}, 0 strangers, {proofs} proofs, {older} consistency"
    assert judge(unpacked(files, tmp_path)) == (0, said)


def flipped(name: str, at: int) -> Callable[[dict[str, bytes]], None]:
    def damage(files: dict[str, bytes]) -> None:
        data = bytearray(files[name])
        data[at] ^= 1
        files[name] = bytes(data)

    return damage


def renamed(name: str, other: str, data: bytes | None = None) -> Callable[[dict[str, bytes]], None]:
    def damage(files: dict[str, bytes]) -> None:
        files[other] = files.pop(name) if data is None else data
        files.pop(name, None)

    return damage


def shortened(name: str, by: int) -> Callable[[dict[str, bytes]], None]:
    def damage(files: dict[str, bytes]) -> None:
        files[name] = files[name][:-by]

    return damage


def signed_by(*signers: Signer) -> Callable[[dict[str, bytes]], None]:
    """The checkpoint's text under these signatures alone."""

    def damage(files: dict[str, bytes]) -> None:
        text = SignedNote.parse(files["checkpoint"]).text
        lines = [signer.cosign(text, 1_790_000_000) if signer in WITNESSES else signer.sign(text) for signer in signers]
        files["checkpoint"] = bytes(SignedNote(text, tuple(lines)))

    return damage


def forged_cosignature(files: dict[str, bytes]) -> None:
    note = SignedNote.parse(files["checkpoint"])
    last = note.signatures[-1]
    forged = NoteSignature(last.name, last.key_id, last.blob[:-1] + bytes([last.blob[-1] ^ 1]))
    files["checkpoint"] = bytes(SignedNote(note.text, (*note.signatures[:-1], forged)))


STRANGER = Signer.from_seed(ORIGIN, b"\x09" * 32)
# what was done, what Go says, what our verifier says, and of which file or entry
DAMAGE = {
    "a byte of an entry": (
        flipped("tile/entries/000", 40),
        "tile/entries/000 or tile/0/000: entry 0 does not match",
        Problem.CHANGED_ENTRY,
        0,
    ),
    "a byte of the last, partial bundle": (
        flipped("tile/entries/002.p/88", -1),
        "tile/entries/002.p/88 or tile/0/002.p/88: entry 599 does not match",
        Problem.CHANGED_ENTRY,
        599,
    ),
    "a byte of a tile": (
        flipped("tile/0/000", 40),
        "tile/entries/000 or tile/0/000: entry 1 does not match",
        Problem.CHANGED_TILE,
        1,
    ),
    "a byte of a tile above": (
        flipped("tile/1/000.p/2", 33),
        "tile/1/000.p/2: hash 1 does not match",
        Problem.CHANGED_TILE,
        256,
    ),
    "a missing tile": (lambda files: files.pop("tile/0/001"), "tile/0/001: missing", Problem.MISSING_TILE, 256),
    "a missing bundle": (
        lambda files: files.pop("tile/entries/001"),
        "tile/entries/001: missing",
        Problem.MISSING_TILE,
        256,
    ),
    "a partial tile under another width": (
        renamed("tile/0/002.p/88", "tile/0/002.p/87"),
        "tile/0/002.p/88: wrong width, there is tile/0/002.p/87",
        Problem.WRONG_WIDTH,
        512,
    ),
    "a full tile as a partial one": (
        renamed("tile/1/000.p/2", "tile/1/000"),
        "tile/1/000.p/2: wrong width, there is tile/1/000",
        Problem.WRONG_WIDTH,
        0,
    ),
    "a tile one hash short": (
        shortened("tile/0/001", 32),
        "tile/0/001: wrong width, 8160 bytes, not 8192",
        Problem.MALFORMED_TILE,
        256,
    ),
    "a bundle cut within an entry": (
        shortened("tile/entries/001", 1),
        "tile/entries/001: entry 511 is cut",
        Problem.MALFORMED_TILE,
        256,
    ),
    "a changed checkpoint": (flipped("checkpoint", 0), "checkpoint: invalid signature", Problem.WRONG_LOG, None),
    "a foreign signature in place of the log's": (
        signed_by(STRANGER, *WITNESSES),
        f"checkpoint: not signed by {ORIGIN}",
        Problem.FOREIGN_KEY,
        None,
    ),
    "only a foreign signature": (
        signed_by(STRANGER),
        "checkpoint: note has no verifiable signatures",
        Problem.FOREIGN_KEY,
        None,
    ),
    "a forged cosignature": (
        forged_cosignature,
        "checkpoint: invalid signature",
        Problem.FORGED_COSIGNATURE,
        None,
    ),
    "a changed receipt": (
        flipped("proofs/300.tlog-proof", 50),
        "proofs/300.tlog-proof: ",
        Problem.WRONG_PROOF,
        300,
    ),
}


@pytest.fixture(scope="module")
def sound():
    return files_of(SampleLog.of(600))


@pytest.mark.parametrize("planted", DAMAGE)
def test_go_and_we_name_the_same_planted_damage(judge, sound, tmp_path, planted):
    damage, said, problem, seq = DAMAGE[planted]
    files = dict(sound)
    damage(files)
    status, words = judge(unpacked(files, tmp_path))
    assert (status, words[: len(said)]) == (1, said)
    (tmp_path / "bundle.zip").write_bytes(
        zipped({name: data for name, data in files.items() if not name.startswith("consistency/")})
    )
    with (tmp_path / "bundle.zip").open("rb") as bundle:
        verdict = verify_bundle(ZipMembers(bundle), policy_of(), None)
    assert (verdict.ok, verdict.problem, verdict.seq) == (False, problem, seq)


def test_go_counts_a_strangers_line_and_does_not_believe_it(judge, sound, tmp_path):
    files = dict(sound)
    signed_by(LOG, STRANGER)(files)
    for name in [name for name in files if name.startswith("proofs/")]:
        del files[name]
    assert judge(unpacked(files, tmp_path))[1].startswith("ok 600, cosigned by , 1 strangers")
