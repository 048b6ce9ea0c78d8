"""A room's air for Bluetooth Low Energy: a socket that plays D-Bus and bluetoothd."""
