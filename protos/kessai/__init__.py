"""What both ends must compute alike: money, numbers, reasons, signatures, and the protos in `v1`.

Every room may import it. It imports the standard library, protobuf and cryptography only.
"""
