"""Recurring work: when a rule ticks, what becomes of missed ticks, and the loop that makes jobs of them.

| module | holds |
| --- | --- |
| `schedule`, `misfire` | rules and their ticks; which of the ticks since the last one still run; pure |
| `declare`, `collect` | what users write beside their tasks, and in settings.toml; checked |
| `definition` | a schedule as bytes, for those made at run time |
| `kept`, `news`, `ticker`, `beside` | the loop of a worker |
| `door` | makes, changes and shows schedules at run time |
| `arq_rule` | the rule of an arq CronJob |
"""
