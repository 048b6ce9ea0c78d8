"""Features without I/O: a command names what it needs and decides; a file a feature."""
