"""Bytes to and from a phone, over whatever radio the terminal has."""
