"""How often a password may be tried, by whom and at what."""
