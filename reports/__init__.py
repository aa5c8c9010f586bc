"""A Result in the forms that people and programs read. Only this room knows rich."""
