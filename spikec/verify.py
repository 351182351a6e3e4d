"""What every pass may rely on, and must leave true: the legality of the graph as a table of rules."""
