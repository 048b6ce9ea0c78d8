"""Use cases: verify, find the shard, submit the command, deliver; a file a feature."""
