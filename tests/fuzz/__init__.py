"""Random and mangled bytes at every place where something comes in; see docs/testing.md."""
