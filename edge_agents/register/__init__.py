"""The shop register: goods are scanned, a phone pays, a receipt is printed (mission row B1)."""
