"""Tests of the vending machine's reader."""
