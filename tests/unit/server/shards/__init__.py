"""Tests of server/shards."""
