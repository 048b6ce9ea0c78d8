"""Books as released switches left them, and the story that fills such books."""
