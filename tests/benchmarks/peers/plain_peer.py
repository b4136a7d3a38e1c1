"""What one writes first: httpx, a page loop, SQLModel and session.merge. In an environment of its own."""

import argparse
import json
import time
from typing import Any

import httpx
from sqlalchemy import JSON, Column
from sqlmodel import Field, Session, SQLModel, create_engine


class Order(SQLModel, table=True):
    """An order by podOS's id."""

    __tablename__ = "orders"
    id: str = Field(primary_key=True)
    project: str
    number: str | None
    status: str
    created: str
    updated: str
    email: str | None
    phone: str | None
    address: dict[str, Any] = Field(sa_column=Column(JSON))


class Item(SQLModel, table=True):
    """A line of an order."""

    __tablename__ = "order_items"
    order_id: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    sku: str | None
    name: str | None
    quantity: int
    prints: list[Any] = Field(sa_column=Column(JSON))


def main() -> None:
    """Run once and print what it took."""
    parser = argparse.ArgumentParser()
    for name in ("--url", "--project", "--token", "--database"):
        parser.add_argument(name, required=True)
    parser.add_argument("--connections", type=int, default=1)
    options = parser.parse_args()
    started, cpu = time.perf_counter(), time.process_time()
    engine = create_engine(options.database)
    SQLModel.metadata.create_all(engine)
    page: int | None = 1
    with httpx.Client(base_url=options.url, headers={"Authorization": options.token}) as client:
        while page:
            params = {"project": options.project, "pageToken": page, "sortBy[]": "createdAt"}
            answer = client.get("/v1/fulfillments", params=params).json()
            with Session(engine) as session:
                for row in answer["fulfillments"]:
                    merge(session, row, options.project)
                session.commit()
            page = answer["nextPageToken"]
    took = time.perf_counter() - started
    print(json.dumps({"seconds": took, "cpu_seconds": time.process_time() - cpu}))


def merge(session: Session, row: dict[str, Any], project: str) -> None:
    """Insert or update one order."""
    session.merge(
        Order(
            id=row["id"],
            project=project,
            number=row.get("fulfillerReference"),
            status=row["status"],
            created=row["createdAt"],
            updated=row["updatedAt"],
            email=row["contactInformation"].get("email"),
            phone=row["contactInformation"].get("phone"),
            address=row["shippingAddress"],
        )
    )
    for position, item in enumerate(row["items"], 1):
        session.merge(
            Item(
                order_id=row["id"],
                position=position,
                sku=item["metadata"].get("variantSku"),
                name=item["metadata"].get("productTitle"),
                quantity=item["quantity"],
                prints=item["applications"],
            )
        )


if __name__ == "__main__":
    main()
