"""The pages that `AuthPages` serves: a page is a file, listed in `app.py`."""
