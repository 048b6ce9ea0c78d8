"""Tests of the load generator and the benches."""
