"""The plan: what things cost on a host, and which atom goes to which partition."""
