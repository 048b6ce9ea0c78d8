"""Tests of the terminal's radio, against the simulated phone through the real nfcpy stack."""
