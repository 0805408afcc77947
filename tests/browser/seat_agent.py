"""The real `erhai agent` at one seat: its own process and terminal, a PKCS #11 token (SoftHSM), somebody who presses s."""

import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from web.demo.vendors import Vendors, holders

LIBRARY = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "246810"
_LOAD = "import sys; from tests.tokens.load_token import load; from pathlib import Path; a = sys.argv; load(a[1], a[2], a[3], *(Path(p).read_bytes() for p in a[4:6]))"
_ROOT = Path(__file__).parents[2]


class SeatAgent:
    """One agent that is running; a context manager."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]) -> None:
        self._folder = folder
        self._terminal, inside = pty.openpty()

        self._process = subprocess.Popen(
            command, stdin=inside, stdout=inside, stderr=inside, env=environment, cwd=_ROOT, start_new_session=True
        )
        os.close(inside)
        self._said = ""
        self._told = 0  # up to where it has been read
        self._wait("PIN")
        self._type(f"{PIN}\n")

    @classmethod
    def of(cls, vendors: Vendors, no: str, base: str) -> "SeatAgent":
        """Put a person's card into a token and start the agent. The PIN is typed at its terminal."""
        if not Path(LIBRARY).exists() or not shutil.which("softhsm2-util"):
            pytest.skip("softhsm2 is not installed")
        vendors.card(no)
        folder = Path(tempfile.mkdtemp(prefix="erhai-token-"))
        (folder / "tokens").mkdir()
        conf = folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
        environment = {**os.environ, "SOFTHSM2_CONF": str(conf), "LANG": "C.UTF-8", "TERM": "dumb"}
        made = ["softhsm2-util", "--init-token", "--free", "--label", "ukey", "--so-pin", "87654321", "--pin", PIN]
        card = vendors.folder / "cards" / no
        load = [sys.executable, "-c", _LOAD, LIBRARY, "ukey", PIN, f"{card}.key", f"{card}.cer"]
        for command in (made, load):
            subprocess.run(command, check=True, capture_output=True, env=environment, cwd=_ROOT)
        chain = str(vendors.folder / f"{holders()[no][0]}.cer")
        agent = ["agent", "--node", base, "--library", LIBRARY, "--token", "ukey", "--chain", chain]
        return cls(folder, [sys.executable, "-m", "erhai", *agent], environment)

    def pair(self, code: str) -> None:
        """Type the code that the page shows."""
        self._wait("配对码")
        self._type(f"{code}\n")
        self._wait("配对，等待")

    def sign(self) -> str:
        """Wait for words, press s, wait until they are recorded; return what was shown."""
        at = self._told
        self._wait("s 键", at)
        until = time.monotonic() + 20.0
        while "已签名并写入" not in self._said[at:]:  # a key that is pressed before the terminal reads keys is lost
            self._type("s")
            self._listen(1.0)
            assert time.monotonic() < until, self._said[at:]
        self._told = len(self._said)
        return self._said[at:].replace("\r\n", "\n")

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _wait(self, words: str, after: int = 0, timeout_s: float = 20.0) -> None:
        until = time.monotonic() + timeout_s
        while words not in self._said[after:]:
            self._listen(0.5)
            assert time.monotonic() < until, f"the agent did not say {words}: {self._said}"

    def _listen(self, at_most_s: float) -> None:
        ready, _, _ = select.select([self._terminal], [], [], at_most_s)
        if ready:
            self._said += os.read(self._terminal, 65_536).decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(10)
        os.close(self._terminal)
        shutil.rmtree(self._folder)
