"""The page about replication says what is so: its example runs as it stands, with `sync` alone."""

import re
import subprocess
import sys
from pathlib import Path

from sync.receiver import PEER_REQUESTS, REQUESTS, ROUTES, UPLOADS
from sync.wire import MAX_PACKAGES, SIGNED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "replication.md").read_text(encoding="utf-8")


def test_the_example_runs_word_for_word_and_needs_nothing_but_sync() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert not re.findall(r"^(?:from|import) (?:node|web|tests)\b", code, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("3 entries mirrored, cosigned up to 3\n", 0), done.stderr


def test_every_address_and_bound_of_the_page_is_the_programs() -> None:
    pages = set(re.findall(r"`?(?:POST|GET) (/[a-z/-]+?)(?:/H/[a-z]+|`|/…)", PAGE))
    for path in re.findall(r"(?:POST|GET) (/[A-Za-z/-]+)", PAGE):
        plain = path.replace("/H/", f"/{'0' * 64}/").replace("tile/", "tile/0/000")
        assert path == SIGNED or any(pattern.fullmatch(plain) for _, pattern, _ in ROUTES), path
    assert pages
    assert (
        f"At most {REQUESTS} requests at a time, {PEER_REQUESTS} of one peer, {UPLOADS} uploads; {MAX_PACKAGES} packages"
        in PAGE
    )
