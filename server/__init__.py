"""The switch: rpc, switch, identity, domain, ledger and shards (docs/architecture.md)."""
