"""What people type: a file for each command of the switch, mounted by `cli/main.py`."""
