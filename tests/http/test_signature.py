"""Standard Webhooks signatures, against the specification's vector and somebody else's implementation."""

import base64
import json
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from runner.http import InvalidSecret, InvalidSignature, parse_secret, sign, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another key of 32 bytes, exactly").decode()
ID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
EXPECTED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def headers(signature=EXPECTED, *, message_id=ID, timestamp=str(AT)):
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}


def test_the_specification_s_vector_comes_out():
    """The one vector that seven of its libraries share."""
    assert sign(ID, AT, BODY, [SECRET]) == EXPECTED


def test_each_secret_signs_while_one_is_being_rotated():
    """The newest first, so that receivers with either secret accept it."""
    assert sign(ID, AT, BODY, [OTHER, SECRET]).split(" ") == [sign(ID, AT, BODY, [OTHER]), EXPECTED]


@given(
    message_id=st.text("abcdefXYZ0123456789_-", min_size=1, max_size=40),
    payload=st.dictionaries(st.text(max_size=10), st.integers() | st.text(max_size=20), max_size=5),
    keys=st.lists(st.binary(min_size=24, max_size=64), min_size=1, max_size=3),
)
def test_an_independent_verifier_accepts_what_we_sign(message_id, payload, keys):
    """The reference library, with any one of the secrets that signed."""
    secrets = ["whsec_" + base64.b64encode(key).decode() for key in keys]
    body = json.dumps(payload).encode()
    now = int(datetime.now(UTC).timestamp())
    given = headers(sign(message_id, now, body, secrets), message_id=message_id, timestamp=str(now))
    for secret in secrets:
        assert standardwebhooks.Webhook(secret).verify(body, given) == payload


def test_we_accept_what_an_independent_signer_signs():
    """The other way round."""
    now = datetime.now(UTC)
    signature = standardwebhooks.Webhook(SECRET).sign(ID, now, BODY.decode())
    stamp = str(int(now.timestamp()))
    verify(headers(signature, timestamp=stamp), BODY, [SECRET], now_s=now.timestamp())


def test_names_of_headers_are_read_in_any_case():
    """Frameworks hand them over as they like."""
    given = {name.title(): value for name, value in headers().items()}
    verify(given, BODY, [SECRET], now_s=AT)


@pytest.mark.parametrize("offset", [-300, 0, 300])
def test_a_timestamp_within_five_minutes_is_accepted(offset):
    """Clocks differ, both ways."""
    verify(headers(), BODY, [SECRET], now_s=AT + offset)


@pytest.mark.parametrize("offset", [-301, 301, 10**9])
def test_a_timestamp_further_off_is_refused(offset):
    """A recorded webhook cannot be played back later, nor one be made for the future."""
    with pytest.raises(InvalidSignature, match="300 s"):
        verify(headers(), BODY, [SECRET], now_s=AT + offset)


@pytest.mark.parametrize(
    "signature",
    [
        f"{EXPECTED} v1,x",
        f"nonsense {EXPECTED}",
        f"v1a,xyz  {EXPECTED}",
        f"v1,ü {EXPECTED}",
        f", v1 {EXPECTED}",
    ],
)
def test_malformed_items_beside_a_good_signature_are_passed_over(signature):
    """Another version, an item without a comma, or not even ASCII, must not hide the one that fits."""
    verify(headers(signature), BODY, [SECRET], now_s=AT)


@pytest.mark.parametrize(
    "signature", ["", "v1,", "nonsense", EXPECTED[:-1], EXPECTED.replace("v1,", "v2,"), "v1,é"]
)
def test_without_a_signature_that_fits_nothing_is_trusted(signature):
    """And the refusal is always ours, never a stray exception of a decoder."""
    with pytest.raises(InvalidSignature, match="none of the signatures"):
        verify(headers(signature), BODY, [SECRET], now_s=AT)


@pytest.mark.parametrize(
    ("given", "body"),
    [
        (headers(message_id="msg_other"), BODY),
        (headers(timestamp=str(AT + 1)), BODY),
        (headers(), BODY + b" "),
    ],
)
def test_id_timestamp_and_body_are_all_covered(given, body):
    """Change any of the three and it is forged."""
    with pytest.raises(InvalidSignature):
        verify(given, body, [SECRET], now_s=AT)


def test_a_body_that_is_not_text_is_verified_as_bytes():
    """Bytes in, and nothing decoded on the way."""
    body = bytes(range(256))
    verify(headers(sign(ID, AT, body, [SECRET])), body, [SECRET], now_s=AT)


@pytest.mark.parametrize("timestamp", ["", "x", "-1", "1.5", "１６１４２６５３３０", "9" * 5000])
def test_a_timestamp_that_is_no_number_is_refused(timestamp):
    """Digits only, and not so many that reading them is work."""
    with pytest.raises(InvalidSignature, match="timestamp"):
        verify(headers(timestamp=timestamp), BODY, [SECRET], now_s=AT)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name):
    """So that whoever sets up a receiver sees at once what a proxy has dropped."""
    given = headers()
    del given[name]
    with pytest.raises(InvalidSignature, match=name):
        verify(given, BODY, [SECRET], now_s=AT)


@pytest.mark.parametrize("length", [24, 25, 26, 64])
@pytest.mark.parametrize("padded", [True, False])
def test_secrets_hold_24_to_64_bytes_padded_or_not(length, padded):
    """Other libraries leave the padding out."""
    coded = base64.b64encode(bytes(length)).decode()
    assert parse_secret("whsec_" + (coded if padded else coded.rstrip("="))) == bytes(length)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", SECRET.removeprefix("whsec_"), "whsk_" + SECRET[6:],
     "whsec_not*base64*at*all*not*base64*at",
     "whsec_" + base64.b64encode(bytes(23)).decode(), "whsec_" + base64.b64encode(bytes(65)).decode(),
     "whsec_" + "A" * 33, "whsec_é" + "A" * 32],
)  # fmt: skip
def test_a_secret_of_another_form_is_refused_without_being_shown(secret):
    """The message may end in a log."""
    with pytest.raises(InvalidSecret) as caught:
        parse_secret(secret)
    assert secret.removeprefix("whsec_")[:8] not in str(caught.value) or len(secret) < 8
