"""Tests of server/rpc."""
