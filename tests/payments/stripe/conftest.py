"""localstripe as a process on loopback, and a client that speaks with it through the real Door."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from servers import free_ports

from app.outbound import Door
from app.payments.stripe import translate
from app.payments.stripe.client import StripeClient

SECRET_KEY = "sk_test_buecher_boldt"
WEBHOOK_SECRET = "whsec_of_the_endpoint"
GOOD_CARD, DECLINED_CARD = "4242424242424242", "4000000000000341"  # the second can be saved, not charged
PROGRAM = Path(__file__).with_name("localstripe_process.py")


@dataclass
class LocalStripe:
    """The running process. `post` and `get` are the hand of the operator and of the retailer."""

    url: str

    def client(self) -> StripeClient:
        door = Door(connection=1, base_url=self.url, egress="tenant_url", allow_loopback=True)
        return StripeClient(door, {"secret_key": SECRET_KEY})

    def get(self, path: str) -> Any:
        return self._call("GET", path, None)

    def post(self, path: str, **fields: Any) -> Any:
        return self._call("POST", path, translate.form(fields))

    def _call(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {"Authorization": f"Bearer {SECRET_KEY}"}
        request = urllib.request.Request(f"{self.url}{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def webhook(self, url: str, *events: str) -> None:
        """Its signed events go there from now on."""
        wanted = events or ("payment_intent.succeeded",)
        body = json.dumps({"url": url, "secret": WEBHOOK_SECRET, "events": wanted}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_config/webhooks/bridge", body, headers)
        with urllib.request.urlopen(request, timeout=10):
            pass

    def customer(self, *, card: str = GOOD_CARD, iban: str | None = None, method: bool = True) -> str:
        """A retailer with a saved payment method; his id."""
        made = self.post("/v1/customers", name="Bücher Boldt", email="boldt@example.org")
        if method:
            details: dict[str, Any] = {
                "type": "card",
                "card": {"number": card, "exp_month": 12, "exp_year": 2030, "cvc": "123"},
            }
            if iban is not None:
                owner = {"name": "Bücher Boldt", "email": "boldt@example.org"}
                details = {"type": "sepa_debit", "sepa_debit": {"iban": iban}, "billing_details": owner}
            saved = self.post("/v1/payment_methods", **details)["id"]
            self.post(f"/v1/payment_methods/{saved}/attach", customer=made["id"])
            self.post(f"/v1/customers/{made['id']}", invoice_settings={"default_payment_method": saved})
        return str(made["id"])


@pytest.fixture(scope="session")
def localstripe_url() -> Iterator[str]:
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, "localstripe ended by itself"
            assert time.monotonic() < until, "localstripe does not listen"
            time.sleep(0.05)


@pytest.fixture
def localstripe(localstripe_url: str) -> LocalStripe:
    request = urllib.request.Request(f"{localstripe_url}/_config/data", method="DELETE")
    with urllib.request.urlopen(request, timeout=10):
        pass
    return LocalStripe(localstripe_url)
