"""Tests of server/ledger."""
