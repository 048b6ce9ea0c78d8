"""Drivers of the devices on serial lines: scanner, customer display, receipt printer."""
