"""Recurring work: when a rule ticks, what becomes of missed ticks, and the loop that makes jobs of them.

schedule.py  rules and their ticks; pure
misfire.py   which of the ticks since the last one still run; pure
"""
