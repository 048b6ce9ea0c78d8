"""A simulated phone: the wallet, its screen, and the radios that carry it into a field."""
