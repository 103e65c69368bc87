"""``runner new NAME``: a project that runs, as small as it can be."""

from pathlib import Path
from typing import Annotated

import typer

from .asking import refuse, refuse_unless

app = typer.Typer(rich_markup_mode=None, add_completion=False)

TASKS = '''"""The tasks of {name}. `runner worker` runs them, `runner enqueue greet Ann` makes a job."""

from runner import Context, backoff, every, task


@task(retry=backoff.exponential(base=1, cap=60), max_tries=5, timeout=30)
async def greet(ctx: Context, name: str) -> str:
    return f"Hello {{name}}, this is attempt {{ctx.attempt}}"


schedules = [every("1m", greet, args=("world",))]
'''

SETTINGS = """# Settings of {name}. `runner config show` prints all there are, and what applies.
tasks = ["tasks"]
"""


@app.command()
def new(name: Annotated[str, typer.Argument(help="Of the folder to make.")]) -> None:
    """Make a folder with a task, a schedule and settings; an embedded server comes with the first command."""
    folder = Path(name)
    refuse_unless(
        folder.name.isprintable() and bool(folder.name.strip(". ")), f"{name!r} is no name of a folder"
    )
    if folder.exists():
        refuse(f"{folder} is there already; nothing was done")
    folder.mkdir(parents=True)
    files = {"tasks.py": TASKS, "settings.toml": SETTINGS, ".gitignore": ".runner/\n"}
    for file, text in files.items():
        (folder / file).write_text(text.format(name=folder.name) if file != ".gitignore" else text)
    print(f"cd {folder}")
    print("runner worker                         # in one terminal")
    print("runner enqueue greet Ann --wait 10s   # in another")
