"""What a ride costs: GTFS feeds, and the caps that carriers lay over them. No other I/O."""
