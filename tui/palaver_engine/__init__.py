"""The sound engine: a subprocess that captures, encodes, sends, receives, plays and mixes."""
