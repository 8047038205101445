"""One module for each medium, shared by the stores of sessions and by the tables of accounts."""
