"""Tests of the simulated phone: wallet, vault, store, and the card in the field."""
