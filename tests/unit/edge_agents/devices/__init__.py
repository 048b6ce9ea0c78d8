"""Tests of the drivers, against simulated devices on ptys."""
