"""The frameworks' own test suites, run on the adapters: `python3 dev.py peers`. Their files are never committed."""
