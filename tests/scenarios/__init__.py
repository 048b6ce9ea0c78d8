"""Scenarios: one file a row of the mission, each played by real processes over the real wires."""
