"""Tests of what both ends must compute alike."""
