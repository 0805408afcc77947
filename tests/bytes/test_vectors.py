"""Other people's and published vectors: signed-note's example, the interoperable checkpoint, the cosignature."""

import hashlib

import pytest

from sync.checkpoint import Checkpoint, cosignatures, open_checkpoint, sign
from sync.merkle import EMPTY_ROOT, Frontier, leaf_hash
from sync.note import COSIGNATURE, NoteSignature, SignedNote, Signer, VerifierKey, encode_base64, verify
from sync.tampered import Malformed, Problem, Tampered

VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
CHECKPOINT = (
    "node1.example/log\n3\nZLJJxOBgbj2XQsSb/VfNHj6xcPXM76JuoEXKGT1kp18=\n\n— node1.example/log "
    "YGTb1nLrBhPopwJHRnTTLnVlNSplMMhalQdwsFo+PFX+FKqNv9LX2RdW1VwFdCXaejfpqe1uzieIDlZ+WqvU8dUiBAg=\n"
).encode()
COSIGNED = (
    "— peer2.example/w "
    "dFvCEQAAAABqsTuAA0Cck3YxJZl5KPZLyxX46+6h6d5CCJfRV21Djns1GSdVm59irbxNEjXD7CFB6tess/wS48eTvtigxu+NnDBvDw=="
)
LOG = Signer.from_seed("node1.example/log", b"\x01" * 32)
PEER = Signer.from_seed("peer2.example/w", b"\x02" * 32, COSIGNATURE)


def test_the_example_of_signed_note_verifies():
    key = VerifierKey.parse(VKEY)
    note = SignedNote.parse(NOTE)
    assert verify(note, [key]) == (key,)
    assert (str(key), bytes(note)) == (VKEY, NOTE)


def test_the_trees_of_nothing_and_of_one_empty_entry_have_the_published_roots():
    assert encode_base64(EMPTY_ROOT) == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert Frontier().root() == EMPTY_ROOT == hashlib.sha256(b"").digest()
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_the_interoperable_checkpoint_comes_out_byte_for_byte():
    root = Frontier().extend(leaf_hash(b"e%d" % i) for i in range(3)).root()
    assert sign(Checkpoint("node1.example/log", 3, root), LOG) == CHECKPOINT
    assert str(LOG.vkey) == "node1.example/log+6064dbd6+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
    assert open_checkpoint(CHECKPOINT, [LOG.vkey]).checkpoint == Checkpoint("node1.example/log", 3, root)


def test_the_cosignature_comes_out_byte_for_byte_and_verifies():
    note = SignedNote.parse(CHECKPOINT)
    assert str(PEER.cosign(note.text, 1_790_000_000)) == COSIGNED
    assert str(PEER.vkey) == "peer2.example/w+745bc211+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU"
    (found,) = cosignatures(note.with_signatures([NoteSignature.parse(COSIGNED.strip())]), [PEER.vkey])
    assert (found.name, found.timestamp_s) == ("peer2.example/w", 1_790_000_000)


BAD_NOTES = {
    "no blank line": NOTE.replace(b"\n\n", b"\n"),
    "no newline at the end": NOTE[:-1],
    "no signature": b"text\n\n",
    "a hyphen for the dash": NOTE.replace("—".encode(), b"-"),
    "two spaces": NOTE.replace(b"foo ", b"foo  "),
    "a carriage return": NOTE.replace(b".\n", b".\r\n"),
    "a tab": NOTE.replace(b"This is", b"This\tis"),
    "broken UTF-8": b"\xff" + NOTE,
    "unpadded base64": NOTE.replace(b"=\n", b"\n"),
    "base64 with a spare bit": NOTE.replace(b"aQM=\n", b"aQN=\n"),
    "base64 of the other alphabet": NOTE.replace(b"Uw2Q", b"Uw-Q"),
    "a plus in a name": NOTE.replace(b"example.com/foo", b"example.com+foo"),
    "a wide space in a name": NOTE.replace(b"example.com/foo", "example.com\u3000foo".encode()),
    "too many signatures": NOTE + NOTE.split(b"\n\n")[1] * 64,
    "too long": b"x" * 262_144 + NOTE,
}


@pytest.mark.parametrize("data", BAD_NOTES.values(), ids=BAD_NOTES.keys())
def test_a_note_in_another_spelling_is_malformed(data):
    with pytest.raises(Malformed):
        SignedNote.parse(data)


BAD_KEYS = {
    "a wrong id": VKEY.replace("530d903a", "530d903b"),
    "an id in capitals": VKEY.replace("530d903a", "530D903A"),
    "two parts": VKEY.replace("+530d903a", ""),
    "no name": VKEY.removeprefix("example.com/foo"),
    "an unknown algorithm": "example.com/foo+530d903a+" + encode_base64(b"\x09" + bytes(32)),
    "a short key": "example.com/foo+530d903a+" + encode_base64(b"\x01" + bytes(31)),
    "nothing": "",
}


@pytest.mark.parametrize("text", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_a_verifier_key_in_another_spelling_is_malformed(text):
    with pytest.raises(Malformed):
        VerifierKey.parse(text)


def test_lines_of_unknown_keys_are_ignored_and_carried_on():
    stranger = NoteSignature("example.com/foo", b"\0\0\0\0", b"whatever")
    note = SignedNote.parse(NOTE).with_signatures([stranger])
    assert verify(note, [VerifierKey.parse(VKEY)]) == (VerifierKey.parse(VKEY),)
    assert SignedNote.parse(bytes(note)).signatures[1] == stranger


def test_one_forged_line_of_a_known_key_spoils_the_whole_note():
    key = VerifierKey.parse(VKEY)
    note = SignedNote.parse(NOTE).with_signatures([NoteSignature(key.name, key.key_id, bytes(64))])
    with pytest.raises(Tampered) as caught:
        verify(note, [key])
    assert caught.value.problem is Problem.FORGED_SIGNATURE


def test_sixteen_signatures_are_read():
    text = "many\n"
    signers = [Signer.from_seed(f"n{i}.example/log", bytes([i]) * 32) for i in range(16)]
    note = SignedNote.parse(bytes(SignedNote(text, tuple(signer.sign(text) for signer in signers))))
    assert len(verify(note, [signer.vkey for signer in signers])) == 16


def test_a_log_signs_only_under_its_own_origin_and_a_cosigner_only_cosigns():
    with pytest.raises(ValueError, match="not the key"):
        sign(Checkpoint("other.example/log", 0, EMPTY_ROOT), LOG)
    with pytest.raises(ValueError, match="only cosigns"):
        PEER.sign("text\n")
    with pytest.raises(ValueError, match="does not cosign"):
        LOG.cosign("text\n", 1)
