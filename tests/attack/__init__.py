"""A standing attacker: hostile parties and networks, and what they try on a real switch."""
