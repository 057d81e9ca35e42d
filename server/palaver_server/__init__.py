"""The Trio server: signalling, rooms and the supervision of media workers."""
