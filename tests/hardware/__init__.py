"""Tests that need a real device, skipped without --hardware."""
