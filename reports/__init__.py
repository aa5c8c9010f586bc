"""A Result as text for people and as JSON for programs. Only this folder imports rich."""
