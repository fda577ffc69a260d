"""Compute lends an image to a host: the host gets the bytes of that image for a while, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.clients.image import ImageClient, ImageServiceUnavailable, ImageTickets
from kilonova.kernel.http import Client, Loopback
from kilonova.kernel.testing import Answer
from tests.image.make import ALICE, BOB, Cloud

DATA = b"kilonova" * 1000


async def lent(cloud: Cloud, image_id: str, ticket: str | None) -> Answer:
    headers = {} if ticket is None else {"X-Image-Ticket": ticket}
    return await cloud.client.get(f"/v2/lent/{image_id}/file", token=None, headers=headers)


async def ticket_for(cloud: Cloud, image_id: str) -> str:
    reply = await cloud.client.post(f"/v2/images/{image_id}/tickets", token="admin")
    assert reply.status == 201, reply.body
    return str(reply.json["ticket"])


async def test_a_host_fetches_a_private_image_with_a_ticket_alone(cloud: Cloud) -> None:
    image = await cloud.image(DATA, visibility="private")
    reply = await lent(cloud, image["id"], await ticket_for(cloud, image["id"]))
    assert (reply.status, reply.body) == (200, DATA)


async def test_a_ticket_opens_nothing_else(cloud: Cloud) -> None:
    image, other = await cloud.image(DATA), await cloud.image(DATA)
    ticket = await ticket_for(cloud, image["id"])
    assert (await lent(cloud, other["id"], ticket)).status == 403
    for path in ("/v2/images", f"/v2/images/{image['id']}", f"/v2/images/{image['id']}/file"):
        reply = await cloud.client.get(path, token=None, headers={"X-Image-Ticket": ticket})
        assert reply.status == 401, path
        assert (await cloud.client.get(path, token=ticket)).status == 401, path


async def test_a_ticket_ends_with_its_time_and_with_its_image(cloud: Cloud) -> None:
    image = await cloud.image(DATA)
    ticket = await ticket_for(cloud, image["id"])
    await cloud.clock.advance(3590)
    assert (await lent(cloud, image["id"], ticket)).status == 200
    await cloud.clock.advance(20)
    assert (await lent(cloud, image["id"], ticket)).status == 403
    ticket = await ticket_for(cloud, image["id"])
    assert (await cloud.client.post(f"/v2/images/{image['id']}/actions/deactivate", token="admin")).status == 204
    assert (await lent(cloud, image["id"], ticket)).status == 404
    assert (await cloud.client.delete(f"/v2/images/{image['id']}", token=ALICE)).status == 204
    assert (await lent(cloud, image["id"], ticket)).status == 404


async def test_no_ticket_can_be_made_or_stretched(cloud: Cloud) -> None:
    image = await cloud.image(DATA)
    ticket = await ticket_for(cloud, image["id"])
    named, end, signature = ticket.split(".")
    forged = (
        None, "", ".", "..", "x", named, f"{named}.{end}", f"{named}.{end}.", f"{named}.{int(end) + 1}.{signature}",
        f"{named}.{'9' * 400}.{signature}", f"{named}.²³.{signature}", f"{named}.-1.{signature}",
        f"{named}.{end}.{signature[:-1]}", f"{named}.{end}.{'0' * 64}", f"{named.upper()}.{end}.{signature}", "é.1.é",
    )  # fmt: skip
    for ticket in forged:
        reply = await lent(cloud, image["id"], ticket)
        assert reply.status == 403, ticket


@pytest.mark.parametrize("token", [ALICE, BOB, "reader:alices"])
async def test_users_lend_nothing(cloud: Cloud, token: str) -> None:
    image = await cloud.image(DATA, visibility="private")
    reply = await cloud.client.post(f"/v2/images/{image['id']}/tickets", token=token)
    assert reply.status == (404 if token == BOB else 403)


class Service:
    """The token of a service, which is refused once it was ``spoilt``."""

    spoilt = False

    async def token(self) -> str:
        return "no-such-token" if self.spoilt else "admin"

    def forget(self) -> None:
        self.spoilt = False


async def test_compute_asks_once_for_many_builds_and_again_in_good_time(cloud: Cloud) -> None:
    image = await cloud.image(DATA)
    images, session = ImageClient(Client("http://image", Loopback(cloud.app))), Service()
    tickets = ImageTickets(images, session, cloud.clock)  # type: ignore[arg-type]
    first: Any = await tickets.ticket(image["id"])
    assert await tickets.ticket(image["id"]) == first
    async with images.download(image["id"], first) as reply:
        assert b"".join([chunk async for chunk in reply.chunks]) == DATA
    await cloud.clock.advance(1801)
    session.spoilt = True
    with pytest.raises(ImageServiceUnavailable):
        await tickets.ticket(image["id"])
    assert await tickets.ticket(image["id"]) not in ("", first)
    assert await tickets.ticket("11111111-1111-4111-8111-111111111111") == ""
