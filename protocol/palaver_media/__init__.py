"""What the media processes (worker, engine) and their owners (server, client) share."""
