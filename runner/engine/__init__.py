"""The life of a job, one verb a file.

    claim.py    due -> leased: rounds that settle what ended and claim what is due, in one trip
    attempt.py  leased -> outcome: decode, resolve, call, classify
    finish.py   outcome -> what finish.lua writes
    renew.py    keeps leases; a lost one cancels its attempt
    wake.py     what ends an idle worker's sleep
    envelope.py payloads and results in the serializer a worker was given
    function.py what a job's name stands for
    presence.py what a worker says of itself
    worker.py   arq's Worker with this engine underneath
"""
