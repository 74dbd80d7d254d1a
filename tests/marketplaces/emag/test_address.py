"""eMAG answers only addresses that the merchant has listed there; which one that is the operator of the bridge says once, in a setting."""

from __future__ import annotations

import pytest
from flask import Flask
from market_world import market

from app.extensions import db
from app.jobs.partner import Partner
from app.models import Connection
from app.sandbox.emag import SIMULATOR


def test_the_servers_address_reaches_the_connection_check(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with market(app, SIMULATOR) as at:
        monkeypatch.setitem(app.config, "SHOPBRIDGE_EGRESS_ADDRESSES", ["203.0.113.7"])
        for seller in at.market_app.extensions["emag"].sellers.values():
            seller.listed = False
        connection = db.session.get_one(Connection, at.market_connection)
        why = Partner(connection).client.check().reason
        assert why is not None
        assert (why.code, why.params["addresses"]) == ("emag.address_to_list", "203.0.113.7")
