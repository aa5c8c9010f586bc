"""The textbook's figures as SVG, drawn to the measured times: one model's message, and the comparison of five models."""
