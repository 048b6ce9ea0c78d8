"""Why a line does not serve though a switch is there: a certificate out of date, too many lines.

gRPC says UNAVAILABLE of it, as of a switch that is off, and tells the rest in words. Whoever would
say that no switch answers asks here first.
"""

from __future__ import annotations

# What BoringSSL says of the switch's certificate, by this machine's clock.
_SAID = {
    "certificate has expired": "has ended",
    "certificate is not yet valid": "is not valid yet",
}
# Somebody takes the line, and says nothing.
SILENT = (
    "The switch does not answer in time: it hangs, is very busy, or the network loses what is sent "
    "to it. Try again later."
)
_VERIFY_FAILED, _NAME_FAILED = "CERTIFICATE_VERIFY_FAILED", "Hostname Verification Check failed"
# What is left of the switch's refusal of our certificate: it hangs up while the line is made.
_UNSHAKEN = "Handshake read failed (Endpoint closing)"
_NO_CONNECTION, _HUNG_UP, _RESET = "failed to connect", "Socket closed", "Connection reset"


def trouble_in(details: str | None) -> str:
    """What the details of a failed call say of certificates, as a sentence; "" if nothing."""
    text = details or ""
    if _VERIFY_FAILED in text:
        for said, meaning in _SAID.items():
            if said in text:
                return (
                    f"The switch answers, but its certificate {meaning} by this machine's clock: "
                    "compare the clocks of both machines."
                )
        return "Somebody answers there whose certificate is not that switch's."
    if _NAME_FAILED in text:
        return "Somebody answers there whose certificate is for another name than the one dialled."
    if _NO_CONNECTION in text and _HUNG_UP in text:
        return (
            "Somebody answers there, and hangs up at once: the switch may have too many lines, or "
            "hold our certificate for out of date. Compare the clocks of both machines."
        )
    if _UNSHAKEN in text:
        return SILENT
    if _HUNG_UP in text or _RESET in text:
        return (
            "A switch answered there and hung up: it was stopped just now, or this address has too "
            "many lines to it (lines_per_address in its kessai.toml). Try again."
        )
    return ""
