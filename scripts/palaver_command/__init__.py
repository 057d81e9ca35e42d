"""The `palaver` command: a name to a main, imported lazily."""
