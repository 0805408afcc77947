"""The seat's token agent (签名器): dials its node, shows the words of the pending act, signs on a key press, sends the CMS.

It opens no port, and no page reaches it. It signs only words in the form of `sync.acts`, which it shows whole.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from sync.acts import readable, sign_act
from sync.signers import ActSigner, TokenFault

POLL_S = 2.0
SECOND = "second"
_MOST = 262_144


@dataclass(eq=False)
class AgentFault(Exception):
    """The node cannot be used. `why`: address, unreachable, code (wrong or used), unpaired, answer."""

    why: str
    detail: str = ""

    def __str__(self) -> str:
        """One line; never a token."""
        return f"{self.why}: {self.detail}" if self.detail else self.why


@dataclass(frozen=True, slots=True)
class Pending:
    """An act that waits at this agent's seat."""

    id: str
    text: bytes


class NodeLine:
    """The line to one node's pages; `ca` a PEM file of its certificate's CA for https."""

    def __init__(self, url: str, ca: str = "", timeout_s: float = 10.0) -> None:
        """Keep the address. Raises AgentFault."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
            raise AgentFault("address", url)
        self._netloc, self._scheme, self._timeout_s = parts.netloc, parts.scheme, timeout_s
        self._tls = ssl.create_default_context(cafile=ca or None) if parts.scheme == "https" else None
        self._token = ""
        self.seat = ""

    def pair(self, code: str) -> None:
        """Become the agent of the seat that shows this code. Raises AgentFault."""
        status, answer = self._ask("POST", "/agent/pair", json.dumps({"code": code}).encode())
        if status != 200:
            raise AgentFault("code", "wrong, used or too old")
        self.seat, self._token = str(answer["seat"]), str(answer["token"])

    def pending(self) -> Pending | None:
        """Return what waits. Raises AgentFault."""
        status, answer = self._ask("GET", "/agent/pending")
        if status == 204:
            return None
        if status == 403:
            raise AgentFault("unpaired", "the node was started anew or another agent was paired; pair again")
        if status != 200:
            raise AgentFault("answer", str(status))
        return Pending(str(answer["id"]), str(answer["text"]).encode())

    def answer(self, act: Pending, cms: bytes) -> str:
        """Send a signature; return "" where it was recorded, SECOND where another person is to sign first, or the word for
        why not. Raises AgentFault.
        """
        status, answer = self._ask("POST", f"/agent/acts/{act.id}", cms)
        if status == 202:
            return SECOND
        return "" if status == 200 else str(answer.get("error", status))

    def decline(self, act: Pending) -> None:
        """Say that the person does not sign. Raises AgentFault."""
        self._ask("POST", f"/agent/acts/{act.id}/declined")

    def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
        if self._tls is not None:
            line: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._netloc, timeout=self._timeout_s, context=self._tls
            )
        else:
            line = http.client.HTTPConnection(self._netloc, timeout=self._timeout_s)
        headers = {"Origin": f"{self._scheme}://{self._netloc}", "Content-Type": "application/octet-stream"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            line.request(method, path, body=body, headers=headers)
            response = line.getresponse()
            raw = response.read(_MOST)
            kind = response.headers.get_content_type()
            answer = json.loads(raw) if kind == "application/json" else {}
        except (OSError, http.client.HTTPException) as error:
            raise AgentFault("unreachable", f"{self._netloc}: {type(error).__name__}") from error
        except ValueError as error:
            raise AgentFault("answer", "not JSON") from error
        finally:
            line.close()
        return response.status, answer if isinstance(answer, dict) else {}


def attend(
    line: NodeLine, signer: ActSigner, *, show: Callable[[str], None], press: Callable[[], bool], seen: str = ""
) -> str:
    """Look once; show and sign what waits, after `press` said yes. Return the act's id, to be passed as `seen` next time.

    An act is shown once: whatever became of it, the same one is not offered again. Raises AgentFault, TokenFault.
    """
    act = line.pending()
    if act is None or act.id == seen:
        return seen
    if not readable(act.text):
        line.decline(act)
        show("收到的文字不合格式，没有签名 / words out of form, not signed")
        return act.id
    show(act.text.decode())
    if not press():
        line.decline(act)
        show("没有签名 / not signed")
        return act.id
    why = line.answer(act, sign_act(act.text, signer, datetime.now(UTC)))
    told = {
        "": "已签名并写入记录 / signed and recorded",
        SECOND: "已签名，等第二人签名 / signed; a second person is to sign",
    }
    show(told.get(why, f"未被接受 / not accepted: {why}"))
    return act.id


def attend_paired(line: NodeLine, signer: ActSigner, *, show: Callable[[str], None], press: Callable[[], bool]) -> None:
    """Look every two seconds until the pairing is over; a broken line is said once and tried again."""
    seen, told = "", ""
    while True:
        try:
            seen, told = attend(line, signer, show=show, press=press, seen=seen), ""
        except AgentFault as fault:
            if fault.why == "unpaired":
                return
            if fault.why != told:
                told = fault.why
                show(f"节点暂时连不上 / {fault}")
        except TokenFault as fault:
            show(f"签名设备 / token: {fault}")
        time.sleep(POLL_S)
