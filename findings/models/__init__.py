"""What a program is: its I/O model and its architecture, from its system calls alone (classify.py). model.py has the words."""
