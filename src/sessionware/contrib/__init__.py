"""Adapters that put sessionware in the place of a framework's own sessions. Import one by its name."""
