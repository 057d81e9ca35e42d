"""The widgets of the main screen, and what they share."""
