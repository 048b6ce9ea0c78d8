"""The agent of a gate: who may enter, what a ride costs, and one person per opening."""
