"""Policies and receipts: whom to trust as a file, and an entry's proof as a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.merkle import leaf_hash
from sync.note import COSIGNATURE, Signer
from sync.policy import Group, Party, Policy
from sync.proof import Proof, check_proof, encode, parse
from sync.tampered import Malformed, Problem, Tampered
from tests.data.sample_log import LOG, WITNESSES, SampleLog, policy_of

SAMPLE = SampleLog.of(300)
W = [Signer.from_seed(f"w{i}.example", bytes([50 + i]) * 32, COSIGNATURE).vkey for i in range(6)]
L = LOG.vkey
EXAMPLE = f"""
# an example with two levels
log {L} https://log.example/
\twitness X1 {W[0]}
witness X2   {W[1]} https://x2.example/
witness X3 {W[2]}
group X-witnesses 2 X1 X2 X3

witness Y1 {W[3]}
witness Y2 {W[4]}
witness Y3 {W[5]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
""".encode()


@given(st.sets(st.integers(0, 5)))
def test_the_quorum_of_groups_is_counted_level_by_level(present):
    policy = Policy.parse(EXAMPLE)
    assert policy.satisfied(W[i] for i in present) == (len(present & {0, 1, 2}) >= 2 and len(present & {3, 4, 5}) >= 1)


def test_a_policy_survives_its_bytes():
    policy = Policy.parse(EXAMPLE)
    assert Policy.parse(bytes(policy)) == policy
    assert (policy.logs, policy.witnesses["X2"].url) == ((Party(L, "https://log.example/"),), "https://x2.example/")
    assert policy.groups["X-witnesses"] == Group(2, ("X1", "X2", "X3"))
    assert set(policy.keys) == {L, *W}


def test_a_policy_may_ask_for_nobody_or_for_one_witness():
    assert Policy.parse(b"quorum none\n").satisfied([])
    one = Policy.parse(f"witness a {W[0]}\nquorum a\n".encode())
    assert (one.satisfied([W[0]]), one.satisfied([W[1]]), one.satisfied([])) == (True, False, False)


def test_names_are_octets():
    latin = b"witness caf\xe9 " + str(W[0]).encode() + b"\nquorum caf\xe9\n"
    assert bytes(Policy.parse(latin)) == latin
    kelvin = f"witness \u212a {W[0]}\nquorum K\n".encode()
    with pytest.raises(Malformed):
        Policy.parse(kelvin)


WITNESS = f"witness a {W[0]}\n"
BAD_POLICIES = {
    "no quorum": f"log {L}\n",
    "two quorums": "quorum none\nquorum none\n",
    "a quorum before its witness": f"quorum a\n{WITNESS}",
    "a quorum of nobody": "quorum b\n",
    "a log twice": f"log {L}\nlog {L}\nquorum none\n",
    "a witness twice under two names": f"{WITNESS}witness b {W[0]}\nquorum none\n",
    "a name twice": f"{WITNESS}witness a {W[1]}\nquorum none\n",
    "a group with a witness's name": f"{WITNESS}group a any a\nquorum none\n",
    "a witness called none": f"witness none {W[0]}\nquorum none\n",
    "a log's key for a witness": f"witness a {L}\nquorum none\n",
    "a witness's key for a log": f"log {W[0]}\nquorum none\n",
    "an empty group": "group g any\nquorum none\n",
    "a group of strangers": "group g any b\nquorum none\n",
    "a group asking for more than it has": f"{WITNESS}group g 2 a\nquorum none\n",
    "a group asking for none": f"{WITNESS}group g 0 a\nquorum none\n",
    "a group asking in words": f"{WITNESS}group g most a\nquorum none\n",
    "a group asking in another script": f"{WITNESS}group g ١ a\nquorum none\n",
    "a member twice in a group": f"{WITNESS}group g any a a\nquorum none\n",
    "a member in two groups": f"{WITNESS}group g any a\ngroup h any a\nquorum none\n",
    "an unknown word": "trust everybody\nquorum none\n",
    "a word too many": "quorum none please\n",
    "a broken key": "log nobody\nquorum none\n",
    "a carriage return": "quorum none\r\n",
    "a last line that is not ended": "quorum none",
    "a delete character": "# \x7f\nquorum none\n",
    "too many witnesses": "".join(
        f"witness a{i} {Signer.from_seed('w', i.to_bytes(32), COSIGNATURE).vkey}\n" for i in range(257)
    )
    + "quorum none\n",
    "too long": "#" * 65_536 + "\nquorum none\n",
}


@pytest.mark.parametrize("text", BAD_POLICIES.values(), ids=BAD_POLICIES.keys())
def test_a_policy_that_breaks_a_rule_is_malformed(text):
    with pytest.raises(Malformed):
        Policy.parse(text.encode())


def test_a_policy_opens_a_checkpoint_or_says_what_is_missing():
    assert policy_of(quorum=2).open(SAMPLE.note()).checkpoint == SAMPLE.checkpoint()
    with pytest.raises(Tampered) as caught:
        policy_of(quorum=2).open(SAMPLE.note(cosigners=WITNESSES[1:]))
    assert (caught.value.problem, caught.value.got) == (Problem.QUORUM_NOT_MET, WITNESSES[1].name)


@given(st.integers(0, 299), st.integers(1, 300), st.none() | st.binary(max_size=50))
def test_a_proof_file_survives_its_bytes_and_proves_its_entry(index, size, extra):
    if index >= size:
        return
    data = SAMPLE.proof(index, size)
    proof = parse(encode(index, parse(data).hashes, parse(data).checkpoint, extra))
    assert bytes(proof) == encode(index, proof.hashes, proof.checkpoint, extra)
    assert (proof.index, proof.extra) == (index, extra)
    opened = check_proof(proof, leaf_hash(SAMPLE.bodies[index]), policy_of().keys)
    assert (opened.checkpoint.size, len(opened.cosignatures)) == (size, 2)
    with pytest.raises(Tampered) as caught:
        check_proof(proof, leaf_hash(b"another entry"), policy_of().keys)
    assert (caught.value.problem, caught.value.seq) == (Problem.WRONG_PROOF, index)


PROOF = SAMPLE.proof(5)
BAD_PROOFS = {
    "nothing": b"",
    "another version": PROOF.replace(b"@v1", b"@v2"),
    "no index": PROOF.replace(b"index 5\n", b""),
    "an index with a zero before it": PROOF.replace(b"index 5", b"index 05"),
    "an index below zero": PROOF.replace(b"index 5", b"index -5"),
    "extra behind the index": PROOF.replace(b"index 5\n", b"index 5\nextra AA==\n"),
    "extra twice": PROOF.replace(b"index 5\n", b"extra AA==\nextra AA==\nindex 5\n"),
    "extra in another spelling": PROOF.replace(b"index 5\n", b"extra AB==\nindex 5\n"),
    "no checkpoint": PROOF.partition(b"\n\n")[0] + b"\n",
    "an unsigned checkpoint": PROOF.partition(b"\n\n")[0] + b"\n\n" + SAMPLE.checkpoint().text().encode(),
    "64 hashes": PROOF.replace(b"index 5\n", b"index 5\n" + (b"A" * 43 + b"=\n") * 64),
    "too long": PROOF + bytes(400_000),
    "carriage returns": PROOF.replace(b"\n", b"\r\n"),
    "no ASCII": PROOF.replace(b"index", b"ind\xffx"),
}


@pytest.mark.parametrize("data", BAD_PROOFS.values(), ids=BAD_PROOFS.keys())
def test_a_proof_file_in_another_spelling_is_malformed(data):
    with pytest.raises(Malformed):
        Proof.parse(data)
