"""What reverse proxies write into headers about a request that they hand on. Whether a proxy is believed is decided elsewhere."""

from __future__ import annotations

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NODE = re.compile(
    r"(?P<v4>\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5})?|\[(?P<bracketed>[^\[\]]+)\](?::\d{1,5})?|(?P<v6>[^\[\]]*:[^\[\]]*)"
)


def address_in(text: str) -> Address | None:
    """An address as it is written alone; None where it is none. Zones of IPv6 (``%eth0``) are left out, for only the machine that
    wrote them knows what they mean, and IPv4 written as IPv6 is IPv4."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def address_of_hop(entry: str) -> Address | None:
    """The address of one entry of ``X-Forwarded-For``: ``203.0.113.9``, ``203.0.113.9:40000``, ``2001:db8::1``, ``[2001:db8::1]``,
    ``[2001:db8::1]:40000``; in quotes, or as ``for=...``, as in ``Forwarded`` (RFC 7239). None for ``unknown`` and anything else."""
    text = re.sub(r"^for\s*=\s*", "", entry.strip(), flags=re.IGNORECASE).strip('" ')
    found = _NODE.fullmatch(text)
    if found is None:
        return None
    return address_in(found["v4"] or found["bracketed"] or found["v6"])


def hops(header: str) -> list[str]:
    """The entries of ``X-Forwarded-For``, the nearest first."""
    return [entry.strip() for entry in reversed(header.split(","))]


def nearest(header: str) -> str:
    """The last entry of a list: what the proxy nearest to us wrote."""
    return header.rpartition(",")[2].strip()
