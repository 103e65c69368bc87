"""The tables of settings.toml about the jobs that come along: webhooks and payments.

A field's description is its comment in settings.toml. Durations are held as seconds and sizes as bytes.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from .groups import Group, Span
from .units import Count, Durations, Name, Networks, SigningKeys, Size


class WebhooksGroup(Group):
    """Delivery of webhooks."""

    allow: Networks = Field(
        default=(), description="private networks that may be called, such as 127.0.0.0/8 (CIDRs)"
    )
    timeout: Span = Field(default=15.0, description="one delivery, from name lookup to status (duration)")
    connect_timeout: Span = Field(default=5.0, description="of it, lookup, connect and TLS (duration)")
    max_response: Size = Field(default=4 * 1024, description="excerpt of the answer that is kept (size)")
    read_cap: Size = Field(default=64 * 1024, description="most that is read of an answer (size)")
    max_connections: Count = Field(
        default=1000, description="connections open at once in one process (count)"
    )
    secrets: Mapping[str, SigningKeys] = Field(
        default={}, description='NAME = "whsec_…", or a list while rotating (base64 of 24 to 64 bytes)'
    )
    default_secret: str = Field(
        default="", description="the secret that signs when a job names none; empty: none (name)"
    )

    @field_validator("default_secret")
    @classmethod
    def _is_a_secret(cls, value: str, info: ValidationInfo) -> str:
        secrets = info.data.get("secrets")
        if value and secrets is not None and value not in secrets:
            close = get_close_matches(value, secrets, 1)
            msg = "the name of a secret below webhooks.secrets" + (
                f"; did you mean {close[0]}?" if close else ""
            )
            raise ValueError(msg)
        return value


class PaymentsGroup(Group):
    """Payments through a gateway."""

    url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="where the gateway's /v1 lies; empty: no payments",
    )
    api_key: SecretStr = Field(
        default=SecretStr(""),
        description="from RUNNER_PAYMENTS__API_KEY or a file of that name in secrets_dir, not from here",
    )
    account: str = Field(
        default="", description="tells apart what several systems charge at one gateway; never change it"
    )
    gateway: Name = Field(
        default="jobs.payment.http_gateway.HttpGateway", description="class of the adapter (dotted name)"
    )
    honours_keys: bool = Field(
        default=True, description="whether the gateway honours Idempotency-Key; if not, it is asked first"
    )
    key_ttl: Span = Field(
        default=86_400.0,
        description="how long it surely remembers a key; 8% of it are left as margin (duration)",
    )
    lookup: Literal["search", "list"] = Field(
        default="search", description="search = by metadata; list = page through all of its payments"
    )
    timeout: Span = Field(default=30.0, description="one request to the gateway (duration)")
    retry: Durations = Field(
        default=(10.0, 60.0, 300.0), description="waits after an answer that did not come (durations)"
    )
    proof: Span = Field(
        default=900.0, description="not found so long after the last send is not executed (duration)"
    )
    max_declines_day: Count = Field(
        default=10,
        description="a card declined so often in 24h is left alone until they are over (count)",
    )
    max_declines_month: Count = Field(
        default=15, description="the same in 30d; one declined for good is left alone as long (count)"
    )
    event_secret: SecretStr = Field(
        default=SecretStr(""),
        description="signs the gateway's events; set where api_key is, not here",
    )
    durable: Literal["always", "server"] = Field(
        default="always", description="always = refuse a server that does not write each change to disk"
    )
    webhook_url: str = Field(
        default="", pattern=r"^(https?://\S+)?$", description="told when a payment ends; empty: nobody is"
    )
    webhook_secret: str = Field(
        default="", description="signs it: a name below webhooks.secrets; empty: webhooks.default_secret"
    )
