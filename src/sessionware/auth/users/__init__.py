"""Accounts: `base` says what a table of them must do, and every other module here is one."""
