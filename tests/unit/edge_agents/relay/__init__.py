"""Tests of edge_agents.relay, and of the line of a machine behind one."""
