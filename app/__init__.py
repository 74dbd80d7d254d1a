"""Shopbridge: connects shops with marketplaces and suppliers."""
