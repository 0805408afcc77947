"""Whether a database may be copied to its replica now (副本许可): one that has lost what it held never takes a good copy's place."""

import apsw

from node.node import Node
from node.places import DATABASE
from node.store import StoreFault, connect
from node.verdict import words_of
from sync.log import LogFault, size_of


def copy_withheld(node: Node, database: str, *, starting: bool) -> str:
    """Return why nothing may be copied, in words; "" where it may.

    A node that has not passed its start-up gate, or was stopped since, copies nothing. When copying is about to start the
    file in its place must also hold everything that the fence says was released: it may not be the one that was opened.
    """
    if node.stopped is not None:
        return words_of(node.gate) or str(node.stopped)
    if not starting or database != DATABASE:
        return ""
    released = node.recorder.fence.state.released  # asked before the file: the log is always as long, or longer
    try:
        db = connect(node.settings.data / DATABASE, readonly=True)
        try:
            size = size_of(db, released.origin)
        finally:
            db.close()
    except (StoreFault, LogFault, apsw.Error) as fault:
        return f"数据库读不出：{fault}"
    if size < released.size:
        return f"数据库只有 {size} 条本机记录，栅栏文件记明已发出 {released.size} 条"
    return ""
