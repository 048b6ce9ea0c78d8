"""Tests of the agents on terminals."""
