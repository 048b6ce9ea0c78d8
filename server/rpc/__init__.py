"""The gRPC face of the switch: one servicer a service; it translates and decides nothing."""
