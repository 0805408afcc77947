"""The demonstration: a prefecture, two room nodes and the people of one works tender, with real processes and real files."""
