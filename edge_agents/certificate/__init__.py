"""The counter where gift certificates are spent (mission row B10)."""
