"""Double entry with no I/O, in TigerBeetle's model: accounts, transfers, results, books."""
