class gateway:
    @staticmethod
    async def charge(order: str, cents: int, key: str) -> str:
        return f"receipt for {key}"
