"""Tests of the fares of GTFS feeds."""
