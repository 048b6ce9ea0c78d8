"""Clients that are not ours call the switch: one in Node, and buf curl by reflection."""
