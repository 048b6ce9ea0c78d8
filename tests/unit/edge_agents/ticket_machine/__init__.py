"""Tests of the register: its till, its keys, its price list, its screens."""
