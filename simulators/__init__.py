"""The far side of every wire: phones, devices, load, and the town that runs it all."""
