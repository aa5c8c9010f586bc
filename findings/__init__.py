"""A Result becomes statements about a program, each with its evidence. Labs cite them, and trace lists them."""
