"""Daemons on the machines where people pay; the links to phones and the devices they drive."""
