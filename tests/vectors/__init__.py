"""How the test vectors are made: keys, one purchase, damaged encodings, HPKE by the book."""
