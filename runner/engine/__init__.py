"""The life of a job, one verb a file.

serve.py    the loop: a round when there is work, sleep when there is none
sharing.py  which queues are served, and how free slots are divided among them
claim.py    due -> leased: rounds that settle what ended and claim what is due, in one trip
running.py  leased -> outcome: the attempts of a worker and the asyncio tasks that carry them
hooks.py    arq's hooks after a call
attempt.py  the steps of one attempt: decode, admit, rebuild, invoke, classify
finish.py   outcome -> what finish.lua writes
renew.py    keeps leases; a lost one cancels its attempt
upkeep.py   renewal, maintenance, cancellations and presence, on a timer
drain.py    the end: outcomes are written, unfinished jobs given back
survive.py  which errors of the server pass by themselves
wake.py     what ends an idle worker's sleep
envelope.py payloads and results in the serializer a worker was given
function.py what a job's name stands for
joblog.py   what is logged of jobs
presence.py what a worker says of itself
options.py, build.py, connect.py   from settings to the parts of a worker
worker.py   arq's Worker with this engine underneath
"""
