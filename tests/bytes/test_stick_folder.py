"""A prepared folder leads nowhere: nothing beside it is read, written, removed or waited for."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sync.courier import NOTE, Said
from sync.note import Signer
from sync.stick import StickWriter, open_stick
from sync.stick_folder import CourierFault, StickFolder

NAME = f"logs/{'0' * 64}/checkpoint"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder beside the stick with a file that must stay as it is."""
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "erhai.db").write_bytes(b"precious")
    return tmp_path / "node"


def untouched(victim: Path) -> bool:
    return {one.name: one.read_bytes() for one in victim.iterdir()} == {"erhai.db": b"precious"}


def _part(stick: Path, victim: Path) -> None:
    (stick / NAME).parent.mkdir(parents=True)
    (stick / f"{NAME}.part").symlink_to(victim / "erhai.db")


def _file(stick: Path, victim: Path) -> None:
    (stick / NAME).parent.mkdir(parents=True)
    (stick / NAME).symlink_to(victim / "erhai.db")


@pytest.mark.parametrize("trick", [_part, _file])
def test_a_link_where_a_file_is_to_be_written_is_replaced_and_not_followed(
    tmp_path: Path, victim: Path, trick: Callable[[Path, Path], None]
) -> None:
    trick(tmp_path / "stick", victim)
    StickWriter(tmp_path / "stick", "w").add(NAME, b"note")
    assert (tmp_path / "stick" / NAME).read_bytes() == b"note"
    assert not (tmp_path / "stick" / NAME).is_symlink()
    assert untouched(victim)


def test_a_link_where_a_folder_is_to_be_is_refused(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "logs").symlink_to(victim)
    with pytest.raises(CourierFault) as refused:
        StickWriter(tmp_path / "stick", "w").add(NAME, b"note")
    assert refused.value.why == "unwritable"
    assert untouched(victim)


def test_clearing_a_stick_removes_links_and_never_what_they_lead_to(tmp_path: Path, victim: Path) -> None:
    folder = StickFolder(tmp_path / "stick")
    folder.make()
    for name in ("logs/kept", "logs/old", "blobs/old"):
        with folder.create(name) as file:
            file.write(b"x")
    (tmp_path / "stick" / "logs" / "elsewhere").symlink_to(victim)
    (tmp_path / "stick" / "logs" / "file").symlink_to(victim / "erhai.db")
    folder.keep_only(["logs/kept"])
    assert [one.name for one in (tmp_path / "stick").rglob("*") if not one.is_dir()] == ["kept"]
    assert untouched(victim)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("trick", [_pipe, _folder, _link, _device])
def test_what_is_no_file_is_refused_and_keeps_nobody_waiting(tmp_path: Path, trick: Callable[[Path], None]) -> None:
    trick(tmp_path / NOTE)
    with pytest.raises(CourierFault) as refused:
        open_stick(tmp_path, {})
    assert (refused.value.why, refused.value.what) == ("unreadable", NOTE)


def _fill(folder: StickFolder) -> None:
    with folder.create("a/b") as file:
        file.write(b"new")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_that_is_cut_while_written_leaves_what_was_there_before(tmp_path: Path) -> None:
    folder = StickFolder(tmp_path)
    with folder.create("a/b") as file:
        file.write(b"old")
    with pytest.raises(CourierFault, match="No space"):
        _fill(folder)
    assert folder.read("a/b", 10) == b"old"
    assert [one.name for one in (tmp_path / "a").iterdir()] == ["b"]


def test_what_another_node_has_put_on_its_way_is_not_written_over(tmp_path: Path) -> None:
    other = Signer.from_seed("other.example/b/e1", bytes(32))
    (tmp_path / NOTE).write_bytes(Said(other.name, 5, "0" * 64).signed(other))
    with pytest.raises(CourierFault) as refused:
        StickWriter(tmp_path, "mine.example/a/e1")
    assert (refused.value.why, refused.value.what) == ("not-empty", NOTE)
    assert (tmp_path / NOTE).exists()
    StickWriter(tmp_path, other.name)
    assert not (tmp_path / NOTE).exists()
