"""A node's identity: written once, private, complete or refused by name."""

import datetime as dt
import stat
from pathlib import Path

import pytest

from sync.certs import make_authority
from sync.keys import KeyFault, NodeKeys, load_identity, load_public, make_identity, name_base

NOW = dt.datetime.now(dt.UTC)
ORIGIN = "dali.erhai/532924/room-1/a/e1"


@pytest.fixture
def keys(tmp_path: Path) -> NodeKeys:
    authority = make_authority("dali.erhai", NOW)
    return make_identity(tmp_path / "keys", origin=ORIGIN, node="532924-room-1-a", authority=authority, now=NOW)


def test_an_identity_is_read_back_as_it_was_made(keys: NodeKeys) -> None:
    again = load_identity(keys.folder)
    assert again.public() == keys.public() == load_public(keys.folder / "public.json")
    assert again.origin == ORIGIN
    assert (again.cosigner.name, again.witness.name) == ("dali.erhai/532924/room-1/a/m", "dali.erhai/532924/room-1/a/w")
    assert again.sealing_public == keys.sealing_public
    again.server_context()
    again.client_context()


def test_nobody_else_can_read_the_files(keys: NodeKeys) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in keys.folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"log.key", "cosigner.key", "witness.key", "sealing.key", "tls.key"} <= set(modes)


def test_an_identity_is_never_overwritten(keys: NodeKeys) -> None:
    before = {path.name: path.read_bytes() for path in keys.folder.iterdir()}
    with pytest.raises(KeyFault) as fault:
        make_identity(keys.folder, origin=ORIGIN, node="x", authority=make_authority("dali.erhai", NOW), now=NOW)
    assert fault.value.why == "exists"
    assert before == {path.name: path.read_bytes() for path in keys.folder.iterdir()}


@pytest.mark.parametrize("name", ["log.key", "cosigner.key", "witness.key", "sealing.key", "tls.key"])
def test_a_key_that_others_can_read_is_refused(keys: NodeKeys, name: str) -> None:
    (keys.folder / name).chmod(0o640)
    with pytest.raises(KeyFault) as fault:
        load_identity(keys.folder)
    assert (fault.value.why, Path(fault.value.path).name) == ("too-open", name)


@pytest.mark.parametrize(
    "name", ["log.key", "cosigner.key", "witness.key", "sealing.key", "tls.key", "tls.crt", "ca.crt", "public.json"]
)
def test_a_missing_file_is_named(keys: NodeKeys, name: str) -> None:
    (keys.folder / name).unlink()
    with pytest.raises(KeyFault) as fault:
        load_identity(keys.folder)
    assert (fault.value.why, Path(fault.value.path).name) == ("missing", name)


@pytest.mark.parametrize("name", ["log.key", "sealing.key", "public.json"])
def test_a_broken_file_is_named(keys: NodeKeys, name: str) -> None:
    (keys.folder / name).write_bytes(b"{not a key")
    with pytest.raises(KeyFault) as fault:
        load_identity(keys.folder)
    assert (fault.value.why, Path(fault.value.path).name) == ("unreadable", name)


def test_a_key_of_another_kind_is_refused(keys: NodeKeys) -> None:
    (keys.folder / "log.key").write_bytes((keys.folder / "sealing.key").read_bytes())
    with pytest.raises(KeyFault) as fault:
        load_identity(keys.folder)
    assert fault.value.why == "wrong-kind"


def test_the_public_part_must_belong_to_the_keys(keys: NodeKeys) -> None:
    (keys.folder / "log.key").write_bytes((keys.folder / "witness.key").read_bytes())
    with pytest.raises(KeyFault) as fault:
        load_identity(keys.folder)
    assert fault.value.why == "mismatch"


@pytest.mark.parametrize(
    ("origin", "base"),
    [
        (ORIGIN, "dali.erhai/532924/room-1/a"),
        ("node1.example/log", "node1.example/log"),
        ("a/e12/x", "a/e12/x"),
        ("e1", "e1"),
    ],
)
def test_cosigners_keep_their_name_across_epochs(origin: str, base: str) -> None:
    assert name_base(origin) == base
