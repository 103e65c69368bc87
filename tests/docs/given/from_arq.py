import os

url = os.environ["RUNNER_REDIS__URL"]
