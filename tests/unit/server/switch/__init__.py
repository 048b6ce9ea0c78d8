"""Tests of server/switch."""
