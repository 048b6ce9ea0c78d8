"""A counter: keys, display and printer, where a phone pays; a register or a ticket machine."""
