"""The account stores: from an account number to the shard that keeps it, and all the SQL."""
