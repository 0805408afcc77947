"""A person at a browser without JavaScript: opens pages, fills real forms, follows answers (演示用浏览者).

It finds a form by its action, keeps every hidden field and default that the page gave, and fails loudly when the page has
no such form or field, so the demonstration cannot drift from the pages.
"""

import re
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar


@dataclass(eq=False)
class PageFault(Exception):
    """A page did not do what the demonstration expected."""

    url: str
    why: str
    text: str = ""

    def __str__(self) -> str:
        """One line."""
        return f"{self.url}: {self.why}\n{self.text[:1200]}"


@dataclass(slots=True)
class Form:
    """One form of a page."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self._select = ""
        self._area = ""
        self._skip = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(at.get("action", ""), at.get("method", "get").lower()))
        if tag in {"script", "style"}:
            self._skip += 1
        if not self.forms or "disabled" in at:
            return
        form, name = self.forms[-1], at.get("name", "")
        if name and tag in {"input", "select", "textarea", "button"}:
            form.names.add(name)
        if tag == "input" and name:
            kind = at.get("type", "text")
            if kind in {"radio", "checkbox"} and "checked" not in at:
                return
            if kind not in {"submit", "button", "file"}:
                form.fields.setdefault(name, []).append(at.get("value", ""))
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in at:
            form.fields.setdefault(self._select, []).append(at.get("value", ""))
        elif tag == "textarea":
            self._area = name
            form.fields.setdefault(name, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._skip -= 1
        if tag == "select":
            self._select = ""
        if tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area and self.forms:
            self.forms[-1].fields[self._area][-1] += data
        if not self._skip and data.strip():
            self.words.append(data.strip())


@dataclass(frozen=True, slots=True)
class Page:
    """What came back."""

    url: str
    status: int
    html: str
    forms: tuple[Form, ...]
    words: str

    def form(self, action: str) -> Form:
        """Return the form with this action (query ignored). Raises PageFault."""
        for form in self.forms:
            if form.action.partition("?")[0] == action:
                return form
        found = ", ".join(form.action for form in self.forms) or "none"
        raise PageFault(self.url, f"has no form {action}; it has: {found}", self.words)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object) -> None:
        return None


class Visitor:
    """One browser profile: cookies of one person at one node."""

    def __init__(self, base: str) -> None:
        """Start with no cookies."""
        self.base = base
        self.signs: Callable[[Page], Page] | None = None  # what is done where a page waits for a signature
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar()), _NoRedirect()
        )

    def open(self, path: str) -> Page:
        """GET a page, following redirects on this node."""
        return self._send(urllib.request.Request(urllib.parse.urljoin(self.base, path)))  # noqa: S310 - loopback only

    def fetch(self, path: str) -> bytes:
        """GET a file's bytes."""
        request = urllib.request.Request(urllib.parse.urljoin(self.base, path))  # noqa: S310 - loopback only
        try:
            with self._opener.open(request, timeout=60) as answer:
                data: bytes = answer.read()
                return data
        except urllib.error.HTTPError as error:
            raise PageFault(request.full_url, f"answered {error.code}") from error

    def submit(
        self,
        path: str,
        action: str,
        values: dict[str, str | list[str]] | None = None,
        files: dict[str, tuple[str, bytes]] | None = None,
        *,
        expect: int = 200,
    ) -> Page:
        """Open `path`, fill its form `action` with `values` (and `files`), press the button, follow the answer."""
        page = self.open(path)
        form = page.form(action)
        fields = {name: list(old) for name, old in form.fields.items()}
        for name, value in (values or {}).items():
            if name not in form.names:
                raise PageFault(page.url, f"form {action} has no field {name}; it has {sorted(form.names)}", "")
            fields[name] = list(value) if isinstance(value, list) else [value]
        for name in files or {}:
            if name not in form.names:
                raise PageFault(page.url, f"form {action} has no file field {name}", "")
        answer = self.post(urllib.parse.urljoin(page.url, form.action or page.url), fields, files)
        if self.signs is not None and urllib.parse.urlsplit(answer.url).path == "/signing":
            answer = self.signs(answer)
        if answer.status == 202 and expect == 200:
            answer = self.waited(answer)
        if answer.status != expect:
            raise PageFault(answer.url, f"answered {answer.status} to {action}, expected {expect}", answer.words)
        return answer

    def waited(self, answer: Page, timeout_s: float = 20.0) -> Page:
        """Ask again, as the page that waits for a witness does by itself, until it leads to the receipt."""
        found = re.search(r'href="(/recorded/[0-9a-f]{32})"', answer.html)
        until = time.monotonic() + timeout_s
        while found and answer.status == 202 and time.monotonic() < until:
            time.sleep(0.2)
            answer = self.open(found.group(1))
        return answer

    def post(self, url: str, fields: dict[str, list[str]], files: dict[str, tuple[str, bytes]] | None = None) -> Page:
        """POST fields as a browser of the same origin does."""
        pairs = [(name, value) for name, values in fields.items() for value in values]
        if files:
            mark = uuid.uuid4().hex
            body = b"".join(
                f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
                for name, value in pairs
            )
            for name, (filename, data) in files.items():
                head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
                body += head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n"
            body += f"--{mark}--\r\n".encode()
            kind = f"multipart/form-data; boundary={mark}"
        else:
            body = urllib.parse.urlencode(pairs).encode()
            kind = "application/x-www-form-urlencoded"
        headers = {"Content-Type": kind, "Origin": self.base.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        return self._send(urllib.request.Request(url, data=body, headers=headers, method="POST"))  # noqa: S310

    def _send(self, request: urllib.request.Request) -> Page:
        for _ in range(6):
            try:
                answer = self._opener.open(request, timeout=30)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                if answer.status in {301, 302, 303, 307, 308}:
                    target = urllib.parse.urljoin(request.full_url, answer.headers["Location"])
                    request = urllib.request.Request(target)  # noqa: S310
                    continue
                html = answer.read().decode("utf-8", "replace")
                reader = _Forms()
                reader.feed(html)
                return Page(request.full_url, answer.status, html, tuple(reader.forms), " ".join(reader.words))
        raise PageFault(request.full_url, "too many redirects")
