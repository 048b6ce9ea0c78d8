"""Tests: unit mirrors the tree, scenarios the rows of the mission, invariants the rules."""
