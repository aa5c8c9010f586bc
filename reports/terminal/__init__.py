"""A Report for the eye: each section of the page has a file here, and `page.py` puts them in order."""
