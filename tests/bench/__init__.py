"""`make bench`: Spike beside Nengo on the models of models/bench, on one machine in one go."""
