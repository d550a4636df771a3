"""What the redaction knows by value and what by its looks, and what it leaves alone."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from pytest_modelrt.redaction import MASK, redact, redact_value, register_secret, register_secrets_in

SECRET = "only-3-People+know/this$one&nobody"


@pytest.fixture(autouse=True)
def _known() -> None:
    register_secret(SECRET)


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("after", ["", "z", "yz"])
def test_a_known_value_is_masked_inside_base64_of_anything(before: str, after: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(f"{before}{SECRET}{after}".encode()).decode()
        shown = redact(f"Basic: {encoded}!")
        assert MASK in shown
        left = shown.removeprefix("Basic: ").removesuffix("!").replace(MASK, "")
        assert len(left) <= 8  # what the neighbours' bits are in


def test_a_known_value_is_masked_in_addresses_and_where_it_was_cut() -> None:
    assert redact(f"GET /x?t={quote(SECRET, safe='')}&b=1") == f"GET /x?t={MASK}&b=1"
    assert redact(f"'{SECRET[:20]}...{SECRET[-15:]}'") == f"'{MASK}...{MASK}'"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://hub/file?x=1&X-Amz-Signature=00ff&y=2", "https://hub/file?x=1&X-Amz-Signature=***&y=2"),
        ("http://host/x?token=ab#c", "http://host/x?token=***#c"),
        ("https://me:pw@proxy:8080/", "https://me:***@proxy:8080/"),
        ("(b'Authorization', b'Basic dTpw')", "(b'Authorization', b'Basic ***')"),
        ("hf_ABCDEFGHIJKLMNOP is one", "*** is one"),
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "max_total_num_tokens=123456, context_len=32768",
        "secret hf-token does not contain key 'token'",
        "http://localhost:8080/v1/models?limit=5",
        "oci://registry/image:v1@sha256:0123456789abcdef",
        "tokenizer_path='/raid/models/x', token_count: 12",
    ],
)
def test_what_only_sounds_like_one_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_objects_lose_what_their_names_call_secret() -> None:
    secret = {"kind": "Secret", "metadata": {"name": "x"}, "data": {"a": "Yg=="}, "stringData": {"c": "d"}}
    assert redact_value(secret) == {**secret, "data": MASK, "stringData": MASK}
    applied = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"a":"Yg=="},"kind":"Secret"}'}
    assert redact_value(applied) == dict.fromkeys(applied, MASK)
    environment = [{"name": "HF_TOKEN", "value": "short"}, {"name": "HF_HOME", "value": "/raid"}]
    assert redact_value({"env": environment}) == {"env": [{"name": "HF_TOKEN", "value": MASK}, environment[1]]}


def test_values_under_names_of_secrets_are_known_from_then_on() -> None:
    register_secrets_in({"spec": {"env": [{"name": "API_KEY", "value": "open sesame, please"}]}})
    register_secrets_in({"users": [{"name": "x", "user": {"password": "hunter two hunter"}}], "HOME": "/home/somebody"})
    said = "open sesame, please; hunter two hunter; /home/somebody"
    assert redact(said) == f"{MASK}; {MASK}; /home/somebody"
