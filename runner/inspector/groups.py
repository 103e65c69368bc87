"""Dead letters by how they died: what a person looks at before one of ten thousand."""

from dataclasses import replace

from ..dead_letters import DeadLetters, Letter
from ..shards import whole
from ..wire.dead_scripts import MAX_LETTERS
from .values import DeadGroup, DeadGroups


async def read_groups(dead: DeadLetters, *, queue: str | None, look: int) -> DeadGroups:
    """Count letters that died alike, of each queue the newest first; 100 a round trip."""
    groups: dict[tuple[str, ...], DeadGroup] = {}
    cursor, looked = "", 0
    while looked < look:
        size = min(MAX_LETTERS, look - looked)
        page = await dead.find(queue=queue, cursor=cursor, limit=size, look=size)
        for letter in page.letters:
            alike = _alike(letter)
            known = groups.setdefault(alike, DeadGroup(*alike, 0, letter.died_at_ms, letter.id))
            groups[alike] = replace(known, count=known.count + 1)
        cursor, looked = page.cursor, looked + page.looked
        if not cursor:
            break
    return DeadGroups(sorted(groups.values(), key=lambda group: -group.count), looked, not cursor)


def _alike(letter: Letter) -> tuple[str, str, str, str, str]:
    host = letter.hosts[0] if letter.hosts else ""
    return whole(letter.queue), letter.task, letter.reason, letter.error.get("type", ""), host
