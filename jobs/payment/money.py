"""Money is a whole number of minor units and a currency of ISO 4217; never a float.

Also what must never come near a payment job: card numbers, and fields that would hold card data.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

MAX_MINOR = 10**12 - 1
"""Twelve digits: beyond every gateway's own limit, and far below where Lua's numbers lose digits."""

_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"
_TWO = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF "
    "CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU "
    "MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR "
    "SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED "
    "VES WST XCD YER ZAR ZMW"
)
EXPONENTS: dict[str, int] = {
    code: exponent
    for exponent, codes in enumerate((_NONE, "", _TWO, _THREE, _FOUR))
    for code in codes.split()
}
"""Decimal places of each currency, as ISO 4217 has them."""

_DIGITS = re.compile(r"(?<!\d)\d(?:[ .-]?\d){12,18}(?!\d)")
_FIRST = "23456"
_CARD_FIELD = re.compile(
    r"(?:^|[_.-])(?:cvc2?|cvv2?|csc|cid|pan|pin|track[12]?|card_?number|number|security_?code)(?:$|[_.-])"
)
_SPELT_CODE = re.compile(r"""(?:cvc|cvv|cvn)2?["']?\s*[=:]\s*["']?\d{3,4}(?!\d)""", re.IGNORECASE)
"""A security code inside a text, as ``cvc=123`` or ``"cvv2": "1234"``."""


def check_amount(amount: Any, name: str = "amount_minor") -> None:
    """Refuse what is no amount to move.

    Raises:
        ValueError: a float, a text, a bool, zero, a negative or an absurd number.
    """
    if type(amount) is not int:
        msg = (
            f"{name}: expected a whole number of minor units (1999 for 19.99), not {type(amount).__name__} "
            f"{str(amount)[:40]!r}"
        )
        raise ValueError(msg)
    if not 1 <= amount <= MAX_MINOR:
        msg = f"{name}: expected 1 to {MAX_MINOR:,} minor units, not {str(amount)[:40]}"
        raise ValueError(msg)


def check_currency(currency: Any) -> None:
    """Refuse what is no currency.

    Raises:
        ValueError: says what was expected.
    """
    if not isinstance(currency, str) or currency not in EXPONENTS:
        shown = repr(currency)[:20]
        hint = (
            f"; write {currency.upper()!r}"
            if isinstance(currency, str) and currency.upper() in EXPONENTS
            else ""
        )
        msg = f"currency: expected a code of ISO 4217 in capitals, such as 'EUR', not {shown}{hint}"
        raise ValueError(msg)


def spell(amount_minor: int, currency: str) -> str:
    """Write an amount for people: 1999 EUR as ``19.99 EUR``, 500 JPY as ``500 JPY``."""
    return f"{Decimal(amount_minor).scaleb(-EXPONENTS[currency]):f} {currency}"


def refuse_card_data(fields: Iterable[tuple[str, Any]], *, ids: frozenset[str] = frozenset()) -> None:
    """Refuse card numbers and security codes anywhere, and fields named like them; repeats no value.

    Args:
        fields: names and values, nested as they come.
        ids: names whose digits may satisfy the formula by chance, as one in ten timestamps does: refused
            there is only what also begins like a card of the large schemes.

    Raises:
        ValueError: names the field.
    """
    for name, value in fields:
        if _CARD_FIELD.search(_snake(name)):
            msg = f"{name}: card data must not reach this system; pass the gateway's token"
            raise ValueError(msg)
        if isinstance(value, dict):
            refuse_card_data(value.items())
        elif isinstance(value, list | tuple):
            refuse_card_data((name, item) for item in value)
        elif isinstance(value, str | int) and holds_card_number(
            str(value), first="23456" if name in ids else ""
        ):
            msg = f"{name}: this looks like a card number; pass the gateway's token"
            raise ValueError(msg)
        elif isinstance(value, str) and _SPELT_CODE.search(value):
            msg = f"{name}: this looks like a card's security code; pass the gateway's token"
            raise ValueError(msg)


def holds_card_number(text: str, first: str = "") -> bool:
    """Say whether a text has 13 to 19 digits in a row that satisfy the Luhn formula (ISO/IEC 7812-1).

    Args:
        text: looked at; spaces, dots and dashes between digits do not hide them.
        first: digits a number may begin with; empty for any.
    """
    found = (re.sub(r"\D", "", each[0]) for each in _DIGITS.finditer(text))
    return any(_is_luhn(digits) and (not first or digits[0] in first) for digits in found)


def _is_luhn(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + position % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
