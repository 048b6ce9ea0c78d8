"""The machines at the far side of a register's serial lines, each behind a pty."""
