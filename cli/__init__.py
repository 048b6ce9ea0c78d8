"""The `kessai` command: finds the room that a subcommand belongs to."""
