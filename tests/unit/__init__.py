"""Tests of one room at a time; the tree mirrors the project's."""
