"""Pure rules. One file a subject: commands, events, state, decide, evolve. No clock, chance, file or socket."""
