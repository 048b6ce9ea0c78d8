"""The load generator and the benches: a real switch, driven by terminals that never rest."""
