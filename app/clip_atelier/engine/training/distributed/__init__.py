"""Several processes that train as one: who is who, shares of a batch, and the trainer that leads."""
