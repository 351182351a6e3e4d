"""Random Nengo networks, and what Nengo, Spike and the language make of each: `make fuzz`."""
