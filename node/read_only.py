"""A database on a medium that lets nothing be written (只读介质): how it can still be read, and what is said where it cannot."""

import os
from pathlib import Path
from urllib.parse import quote

READ_ONLY = "文件系统只读，不能写入 / the file system is read-only"
WRITABLE = "换到可写的磁盘再办 / put the folder on a disk that can be written"
UNMERGED = (
    "文件系统只读，数据库旁边的 -wal 文件里有还没有并入的提交，读不出 / the file system is read-only and the -wal file beside the "
    "database holds commits that are not merged"
)
RIGHTS = "改正文件夹的属主或权限 / mend the folder's owner or mode"
NO_RIGHTS = "没有写入这个文件夹的权限 / no right to write in the folder"


def is_read_only(path: Path) -> bool:
    """Return whether the file system that holds `path`, or its folder where it is not there, is mounted read-only."""
    for place in (path, path.parent):
        try:
            return bool(os.statvfs(place).f_flag & os.ST_RDONLY)
        except OSError:
            continue
    return False


def no_rights(folder: Path) -> bool:
    """Return whether this process may not write in a folder that is there."""
    return folder.is_dir() and not os.access(folder, os.W_OK)


def unmerged(path: Path) -> bool:
    """Return whether a write-ahead log lies beside a database: without writing there its commits cannot be read."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False


def immutable_uri(path: Path) -> str:
    """Return the name by which SQLite reads a file that nothing can change: it makes no file beside it."""
    return f"file:{quote(str(path.absolute()))}?immutable=1"
