"""Making and writing the disk."""
