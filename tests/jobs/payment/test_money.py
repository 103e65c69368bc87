"""Money, and what must not come near it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency

from jobs.payment.money import (
    EXPONENTS,
    MAX_MINOR,
    check_amount,
    check_currency,
    holds_card_number,
    refuse_card_data,
    spell,
)

CARD = "4242424242424242"


def luhn(digits: str) -> str:
    """Append the check digit, computed another way than the code under test does."""
    doubled = [sum(divmod(int(d) * 2, 10)) if i % 2 == 0 else int(d) for i, d in enumerate(digits[::-1])]
    return digits + str(-sum(doubled) % 10)


def test_every_exponent_is_the_one_of_iso_4217():
    """Compared with a list that others keep; what that list has and we lack is no money to charge."""
    theirs = {each.code: each.exponent for each in Currency if each.exponent is not None}
    both = EXPONENTS.keys() & theirs.keys()
    assert {code: EXPONENTS[code] for code in both} == {code: theirs[code] for code in both}
    assert len(both) > 150
    assert {"XAU", "XXX", "XTS"}.isdisjoint(EXPONENTS)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(1999, "EUR", "19.99 EUR"), (500, "JPY", "500 JPY"), (1234, "KWD", "1.234 KWD"), (5, "USD", "0.05 USD")],
)
def test_an_amount_is_spelled_with_its_currencys_places(amount, currency, text):
    """Also for currencies of no decimal and of three."""
    assert spell(amount, currency) == text


@pytest.mark.parametrize("amount", [0, -1, MAX_MINOR + 1, 19.99, 1e3, "1999", True, None, float("nan")])
def test_what_is_no_whole_positive_amount_is_refused(amount):
    """A float, even a whole one, may be off by a cent already."""
    with pytest.raises(ValueError, match="amount_minor: expected"):
        check_amount(amount)


@pytest.mark.parametrize("currency", ["", "EURO", "eur", "XXX", "BTC", 978, None])
def test_a_currency_that_does_not_exist_is_refused(currency):
    """Lower case too, with the right spelling in the message."""
    with pytest.raises(ValueError, match="ISO 4217") as caught:
        check_currency(currency)
    assert currency != "eur" or "write 'EUR'" in str(caught.value)


@given(
    st.text("0123456789", min_size=12, max_size=18),
    st.sampled_from(["", " ", "-"]),
    st.text("abc ", max_size=5),
)
def test_a_card_number_is_found_however_it_is_written(digits, gap, around):
    """13 to 19 digits with a right check digit, in groups or not, in the middle of a text."""
    number = luhn(digits)
    written = gap.join(number[i : i + 4] for i in range(0, len(number), 4))
    assert holds_card_number(f"{around}{written}{around}")


def test_one_wrong_digit_is_no_card_number():
    """Nor are fewer than 13 digits, nor digits within a longer number."""
    assert not holds_card_number(CARD[:-1] + "3")
    assert not holds_card_number(luhn("12345678901"))
    assert not holds_card_number("9" * 3 + CARD + "9" * 3)


@pytest.mark.parametrize(
    "name", ["cvc", "card[cvc]", "card_cvv", "cardNumber", "PAN", "pin", "track2", "security_code"]
)
def test_a_field_named_like_card_data_is_refused_whatever_is_in_it(name):
    """The value is not repeated."""
    field = name.replace("[", ".").replace("]", "")
    with pytest.raises(ValueError, match="card data") as caught:
        refuse_card_data([("card", {field: "SECRET-VALUE"})])
    assert "SECRET-VALUE" not in str(caught.value)


def test_names_that_only_look_like_it_pass():
    """`company` holds `pan`, `shipping` holds `pin`."""
    refuse_card_data([("company", "x"), ("shipping_pincode", "x"), ("span", "x")])


def test_an_id_may_satisfy_the_formula_by_chance_unless_it_begins_like_a_card():
    """One in ten timestamps does; a real card number in an id is refused all the same."""
    refuse_card_data([("order_id", luhn("173239000000"))], ids=frozenset({"order_id"}))
    with pytest.raises(ValueError, match="order_id"):
        refuse_card_data([("order_id", CARD)], ids=frozenset({"order_id"}))
