"""Questions that a student answers before a lab shows anything. The run itself gives the right answer.

The rules know nothing of models: on the recording of another server the same question has that server's answer. A lab's own
questions stand in the lab's file (`LAB.ask`); the files here have the questions that several labs share.
asked.py chooses the questions of a lab.
"""
