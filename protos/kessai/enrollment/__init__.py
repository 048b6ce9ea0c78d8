"""Pairing and renewal on the device's side (design section 3), for agents and phones.

`pair` turns a pairing code into an identity folder, `load_identity` reads it at every start, and
`renew_if_due` keeps its certificate in date.
"""

from kessai.device_identity import DeviceIdentity, load_identity
from kessai.enrollment.pairing import cleared_if_refused, pair
from kessai.enrollment.renewal import renew_if_due
from kessai.pairing_code import PairingCode, parse_pairing_uri

__all__ = [
    "DeviceIdentity",
    "PairingCode",
    "cleared_if_refused",
    "load_identity",
    "pair",
    "parse_pairing_uri",
    "renew_if_due",
]
