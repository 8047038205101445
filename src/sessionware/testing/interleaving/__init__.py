"""The engine of `explore`: runs requests that overlap in every order of their calls."""
