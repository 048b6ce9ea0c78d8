"""The wire: `kessai.v1` protos and the code generated from them (`make protos`)."""
