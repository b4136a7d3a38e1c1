"""The names of the fulfillers: Prefect Blocks of any kind whose type begins with ``fulfiller-``."""

from __future__ import annotations

from prefect.client.orchestration import get_client

TYPE_PREFIX = "fulfiller-"


async def fulfiller_names() -> list[str]:
    """Return the names of all fulfillers, sorted; no secret is read."""
    names: set[str] = set()
    async with get_client() as client:
        for kind in await client.read_block_types():
            if kind.slug.startswith(TYPE_PREFIX):
                documents = await client.read_block_documents_by_type(kind.slug, include_secrets=False)
                names |= {document.name for document in documents if document.name}
    return sorted(names)
