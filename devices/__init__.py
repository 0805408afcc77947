"""The physical state of the room."""
