"""The vending machine's reader: an item is selected, a phone pays, the item falls (row B3)."""
