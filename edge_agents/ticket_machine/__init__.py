"""The ticket machine: a customer chooses tickets, a phone pays and gets them (mission row B10)."""
