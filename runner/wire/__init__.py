"""All that touches Redis bytes: keys, payloads, scripts, connections.

``serialize`` and ``deserialize`` are for plain arq clients that talk to our workers:
``arq.create_pool(…, job_serializer=runner.wire.serialize, job_deserializer=runner.wire.deserialize)``.
"""

from .codec import deserialize, serialize

__all__ = ["deserialize", "serialize"]
