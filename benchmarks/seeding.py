"""What a server needs in an empty cloud: image, flavor, network, and room for as many as are wanted."""

from __future__ import annotations

from pathlib import Path

from benchmarks.client import CloudClient


async def seed(client: CloudClient, image_file: Path | None = None) -> None:
    """As an administrator. ``image_file``: a qcow2 to boot; otherwise an empty raw image."""
    await client.take_token()
    kind = "qcow2" if image_file else "raw"
    body = {"name": "bench", "disk_format": kind, "container_format": "bare"}
    _, image = await client.request("POST", "image", "/v2/images", body)
    headers = {"X-Auth-Token": client.token, "Content-Type": "application/octet-stream"}
    url = f"{client.endpoints['image']}/v2/images/{image['id']}/file"
    content = image_file.read_bytes() if image_file else bytes(1 << 20)
    async with client.session.put(url, data=content, headers=headers) as reply:
        assert reply.status == 204, await reply.text()
    flavor = {"name": "bench", "ram": 128 if image_file else 512, "vcpus": 1, "disk": 1}
    await client.request("POST", "compute", "/flavors", {"flavor": flavor})
    _, made = await client.request("POST", "network", "/v2.0/networks", {"network": {"name": "bench"}})
    network = made["network"]
    subnet = {"network_id": network["id"], "cidr": "10.64.0.0/16", "ip_version": 4}
    await client.request("POST", "network", "/v2.0/subnets", {"subnet": subnet})
    project = network["project_id"]
    limits = {"instances": -1, "cores": -1, "ram": -1}
    await client.request("PUT", "compute", f"/os-quota-sets/{project}", {"quota_set": limits})
    await client.request("PUT", "network", f"/v2.0/quotas/{project}", {"quota": {"port": -1}})
