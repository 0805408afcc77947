"""A peer that lies: in what it answers and in what it sends on. Its keys are its own; it can forge nobody else's."""

from random import Random

from sync import wire
from sync.note import COSIGNATURE, NoteSignature, Signer
from sync.receiver import Ask
from sync.wire import MirrorInfo, encode_lines, encode_size
from sync.witness import Answer

HTML = Answer(200, b"<html><body>Please sign in</body></html>", "text/html")


class Liar:
    """Replaces some answers and some bodies. Remembers its true cosignatures, to show stale ones later."""

    def __init__(self, rng: Random, cosigner: Signer) -> None:
        self._rng = rng
        self._cosigner = cosigner
        self._foreign = Signer.from_seed(cosigner.name, b"\x66" * 32, COSIGNATURE)
        self._stale: list[bytes] = []
        self.lies = True

    def answer(self, ask: Ask, answer: Answer) -> Answer:
        """Return what is answered instead."""
        if answer.status == 200 and ask.path == "/mirror/add-entries":
            self._stale.append(answer.body)
            del self._stale[:-20]
        if not self.lies or self._rng.random() > 0.4:
            return answer
        return self._rng.choice((self._cut, self._bent, self._wrong))(ask, answer)

    def _cut(self, _ask: Ask, answer: Answer) -> Answer:
        return Answer(answer.status, answer.body[: self._rng.randrange(len(answer.body) + 1)], answer.content_type)

    def _bent(self, _ask: Ask, answer: Answer) -> Answer:
        return Answer(answer.status, self._bend(answer.body), answer.content_type)

    def _bend(self, body: bytes) -> bytes:
        if not body:
            return b"\0"
        bent = bytearray(body)
        bent[self._rng.randrange(len(bent))] ^= 1 << self._rng.randrange(8)
        return bytes(bent)

    def _wrong(self, ask: Ask, answer: Answer) -> Answer:
        rng = self._rng
        size = rng.choice((0, 1, rng.randrange(300), 2**63 - 1))
        if ask.path.endswith("/add-checkpoint"):
            return rng.choice((Answer(409, encode_size(size), wire.SIZE_TYPE), Answer(200), HTML))
        if ask.path.endswith("/add-entries"):
            forged = NoteSignature(self._cosigner.name, self._cosigner.vkey.key_id, rng.randbytes(72))
            strange = self._foreign.cosign("x\n", 1)
            return rng.choice(
                (
                    Answer(rng.choice((202, 409)), bytes(MirrorInfo(size, rng.randrange(300))), wire.INFO_TYPE),
                    Answer(200, encode_lines([forged])),
                    Answer(200, encode_lines([strange])),
                    Answer(200, rng.choice(self._stale) if self._stale else b""),
                )
            )
        return rng.choice((HTML, Answer(404), Answer(200, rng.randbytes(64), answer.content_type), Answer(503)))

    def outgoing(self, path: str, body: bytes) -> bytes:
        """Return what is sent instead: altered entries, proofs or checkpoints, bodies too short or too long."""
        rng = self._rng
        if not self.lies or rng.random() > 0.5:
            return body
        if path.endswith("/add-checkpoint") and rng.random() < 0.8:
            head, _, checkpoint = body.partition(b"\n\n")  # an honest checkpoint with a proof from somewhere else
            old = head.partition(b"\n")[0] if rng.random() < 0.7 else b"old %d" % rng.randrange(60)
            proof = b"".join(b"%s=\n" % (b"A" * 43) for _ in range(rng.randrange(3)))
            return b"%s\n%s\n%s" % (old, proof, checkpoint)
        return rng.choice((self._bend(body), body[: rng.randrange(len(body) + 1)], body + b"\0"))
