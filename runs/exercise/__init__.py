"""The exercises: skeletons of servers for students, what of a student's file is missing, and the hints."""
