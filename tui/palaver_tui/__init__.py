"""The full-screen client, on Textual, with the Trio client as a guest of its loop."""

from .command import main

__all__ = ["main"]
