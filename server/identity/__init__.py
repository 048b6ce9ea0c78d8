"""Who is who: the authority and its certificates, pairing, callers and what each may call."""
