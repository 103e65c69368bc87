"""A gateway to try things with: Stripe-shaped, its own process, a ledger on disk, faults on demand.

    with Sandbox.start(folder) as sandbox:
        ...                                # payments.url = sandbox.url
        sandbox.faults("charge_drop", times=3)
    balance(sandbox.ledger)                # what really happened, charge by charge

or ``python -m jobs.payment.sandbox --port 12111 --ledger ledger.jsonl``.
"""

from .control import Sandbox
from .faults import FAULTS
from .ledger import Balance, Charge, balance

__all__ = ["FAULTS", "Balance", "Charge", "Sandbox", "balance"]
