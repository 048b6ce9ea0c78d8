"""What must hold whatever happens: money, idempotency, durability."""
