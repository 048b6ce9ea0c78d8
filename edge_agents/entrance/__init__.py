"""The entrance: a phone shows its ticket, and a door opens, with no attendant (mission row B10)."""
