"""What is refused at enqueue, before anything is written."""

import pytest

from jobs.payment import capture_payment, process_payment, refund_payment, void_payment
from runner.errors import InvalidArguments

CARD = "4242424242424242"


@pytest.mark.parametrize(
    "args",
    [
        ("o-1", 19.99, "EUR", "tok"),
        ("o-1", 1999.0, "EUR", "tok"),
        ("o-1", "1999", "EUR", "tok"),
        ("o-1", True, "EUR", "tok"),
        ("o-1", 0, "EUR", "tok"),
        ("o-1", -5, "EUR", "tok"),
        ("o-1", 10**13, "EUR", "tok"),
        ("o-1", 1999, "XXX", "tok"),
        ("o-1", 1999, "eur", "tok"),
        ("o-1", 1999, "EUR", CARD),
        ("o-1", 1999, "EUR", "4242 4242 4242 4242"),
        (CARD, 1999, "EUR", "tok"),
        ("", 1999, "EUR", "tok"),
        ("a b", 1999, "EUR", "tok"),
        ("a{b}", 1999, "EUR", "tok"),
        ("o-1", 1999, "EUR", ""),
        ("o-1", 1999, "EUR", None),
        ("o-1", 1999, "EUR"),
    ],
)
def test_what_can_never_be_charged_is_refused(args):
    """A card number is not repeated in the error."""
    with pytest.raises(InvalidArguments) as caught:
        process_payment.check(args, {})
    assert CARD not in str(caught.value)


@pytest.mark.parametrize("field", ["cvc", "cvv", "card_number", "number", "pin"])
def test_a_field_of_card_data_is_refused(field):
    """By its name, whatever is in it; the value is not repeated."""
    with pytest.raises(InvalidArguments, match="card data") as caught:
        process_payment.check(("o-1", 1, "EUR", "tok"), {field: "987"})
    assert "987" not in str(caught.value)


@pytest.mark.parametrize("source", ["cvc=987", "exp=12/27;CVV2: 9876", '{"cvn":"987"}', "card_cvc = '987'"])
def test_a_security_code_inside_a_text_is_refused(source):
    """Whatever the field is called; the value is not repeated."""
    with pytest.raises(InvalidArguments, match="security code") as caught:
        process_payment.check(("o-1", 1, "EUR", source), {})
    assert "987" not in str(caught.value)


@pytest.mark.parametrize("source", ["tok_cvc987", "cvc=12345", "cvc_check=pass", "cvv:12"])
def test_a_text_that_only_mentions_one_is_taken(source):
    """Three or four digits after the word and a sign: less is no code, and a longer number is none either."""
    process_payment.check(("o-1", 1, "EUR", source), {})


@pytest.mark.parametrize(
    ("task", "args"),
    [
        (capture_payment, ("o-1", 0, "EUR")),
        (capture_payment, ("o-1", 1.5, "EUR")),
        (void_payment, ("",)),
        (refund_payment, ("o-1", 100, "EUR", "")),
        (refund_payment, ("o-1", -100, "EUR", "r")),
        (refund_payment, ("o-1", 100, "EURO", "r")),
    ],
)
def test_the_other_operations_are_as_strict(task, args):
    """Amounts, currencies and names of captures, voids and refunds."""
    with pytest.raises(InvalidArguments, match="expected"):
        task.check(args, {})


def test_what_is_right_passes_unchanged():
    """By position or by name."""
    assert process_payment.check(("o-1", 1999, "EUR", "tok"), {"capture": False}) == (
        ("o-1", 1999, "EUR", "tok"),
        {"capture": False},
    )
    named = {"order_id": "o-1", "amount_minor": 500, "currency": "JPY", "source": "tok"}
    assert process_payment.check((), named) == ((), named)
