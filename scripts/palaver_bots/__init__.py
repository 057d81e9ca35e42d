"""Bots that come with Palaver. They stand on `palaver_client` alone, as anybody's bot would."""
