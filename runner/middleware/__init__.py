"""What happens around a job: one idea a file, composed once per task from what the task declares.

Outermost first: the user's own, then dead_letter, retry, timeout.
"""
