"""Measures sessionware side by side with its peers. `python3 dev.py bench` runs it; README.md says what is measured."""
