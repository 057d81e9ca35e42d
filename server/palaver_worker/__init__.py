"""The media worker: an asyncio subprocess that forwards encrypted voice and video without decoding."""
