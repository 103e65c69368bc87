"""Which declines may be tried again, and when."""

import pytest

from jobs.payment.declines import ADVICE, DAY_S, HOUR_S, KIND_OF, VISA_NEVER, classify


@pytest.mark.parametrize(
    ("code", "kind", "wait_s"),
    [
        ("stolen_card", "hard", 0),
        ("expired_card", "data", 0),
        ("authentication_required", "customer", 0),
        ("insufficient_funds", "soft", DAY_S),
        ("processing_error", "technical", HOUR_S),
        ("duplicate_transaction", "duplicate", 0),
        ("a_code_of_tomorrow", "soft", DAY_S),
    ],
)
def test_each_class_has_its_wait(code, kind, wait_s):
    """Hard, data and customer never; soft after a day, technical after an hour; what is unknown is soft."""
    decline = classify(code)
    assert (decline.kind, decline.wait_s, decline.is_soft) == (kind, wait_s, wait_s > 0)


@pytest.mark.parametrize("network_code", sorted(VISA_NEVER))
def test_visas_never_is_never(network_code):
    """Whatever the gateway's own code says."""
    assert classify("insufficient_funds", network_code=network_code).wait_s == 0


@pytest.mark.parametrize(("advice", "said"), ADVICE.items())
def test_mastercards_advice_makes_a_decline_stricter_and_never_milder(advice, said):
    """Its waits are obeyed; a hard code stays hard."""
    kind, wait_s = said
    assert classify("stolen_card", network_advice=advice).kind == "hard"
    soft = classify("insufficient_funds", network_advice=advice)
    assert soft.wait_s == (max(wait_s, DAY_S) if kind == "soft" else 0)


def test_the_gateways_advice_is_followed():
    """`do_not_try_again` and `confirm_card_data` of the Stripe API."""
    assert classify("generic_decline", advice="do_not_try_again").kind == "hard"
    assert classify("generic_decline", advice="confirm_card_data").kind == "data"
    assert classify("generic_decline", advice="try_again_later").kind == "soft"


def test_the_raw_code_is_kept():
    """For the operator and for disputes; the message is cut."""
    decline = classify("do_not_honor", network_code="05", message="m" * 500)
    assert (decline.code, decline.network_code, len(decline.message)) == ("do_not_honor", "05", 200)
    assert len(KIND_OF) == len(set(KIND_OF))
