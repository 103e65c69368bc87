"""Background jobs for asyncio, on arq's keys and commands."""
