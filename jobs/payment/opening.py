"""From a context or a runner to the desk and the ledger it works with, as the settings say."""

from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary

from runner.context import Context
from runner.errors import SettingsError

from .declines import DAY_S
from .desk import Desk
from .gateway import PaymentGateway
from .operation import Rules
from .records import Cap
from .store import Store

_DESKS: WeakKeyDictionary[Any, Desk] = WeakKeyDictionary()


def desk_of(ctx: Context) -> Desk:
    """Give this worker's desk; made at its first payment.

    Raises:
        SettingsError: no gateway is set, or its adapter cannot be imported.
    """
    runner = ctx["runner"]
    desk = _DESKS.get(runner)
    if desk is None:
        payments = ctx.settings.payments
        desk = _DESKS[runner] = Desk(
            store_of(runner),
            _gateway(ctx),
            rules_of(payments),
            timeout_s=payments.timeout,
            key_ttl_s=payments.key_ttl if payments.honours_keys else 0,
            tells=bool(payments.webhook_url),
        )
    return desk


def store_of(runner: Any) -> Store:
    """Give the ledger over a connected runner's client."""
    payments = runner.settings.payments
    caps = (Cap(payments.max_declines_day, DAY_S), Cap(payments.max_declines_month, 30 * DAY_S))
    return Store(runner.client, payments.account, caps=caps)


def rules_of(payments: Any) -> Rules:
    """Give how patient to be with the gateway."""
    return Rules(retry_s=payments.retry, proof_s=payments.proof)


def _gateway(ctx: Context) -> PaymentGateway:
    payments = ctx.settings.payments
    if not payments.url:
        msg = "payments.url: no gateway is set; put the address of its API there"
        raise SettingsError(msg)
    module, _, name = payments.gateway.rpartition(".")
    try:
        adapter = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"payments.gateway: '{payments.gateway}' cannot be imported: {error}"
        raise SettingsError(msg) from error
    return adapter(
        ctx.http,
        url=payments.url,
        api_key=payments.api_key.get_secret_value(),
        timeout_s=payments.timeout,
        lookup=payments.lookup,
    )
