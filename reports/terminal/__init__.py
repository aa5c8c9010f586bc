"""A Report on the terminal. Each section of the page has a file here; `page.py` puts the sections in order."""
