"""The headless Trio client: connect, join, talk and chat from a program."""
