"""What a new password has to be. Nothing in here knows of accounts, sessions or requests."""
