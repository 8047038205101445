"""Stores: where records live. `base` says what one has to do."""
