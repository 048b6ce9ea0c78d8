"""The fleet's server: passes its machines' signed calls to the switch, and alters nothing."""
