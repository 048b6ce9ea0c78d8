"""Tests of the rooms of the switch."""
