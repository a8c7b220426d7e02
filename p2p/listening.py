"""Where a node may listen."""

from __future__ import annotations

import os
import socket

from multiaddr import Multiaddr
from multiaddr.exceptions import Error as MultiaddrError

from chain.base.errors import OperatorError


def parse_listen_address(text: str) -> Multiaddr:
    """A TCP multiaddr to listen on.  Raises :class:`OperatorError`."""
    try:
        address = Multiaddr(text)
        names = [protocol.name for protocol in address.protocols()]
    except MultiaddrError as error:
        raise OperatorError(
            f"{text!r} is not a multiaddr; a listen address looks like /ip4/0.0.0.0/tcp/9000"
        ) from error
    if len(names) != 2 or names[0] not in {"ip4", "ip6"} or names[1] != "tcp":
        raise OperatorError(f"Cannot listen on {text!r}; a listen address looks like /ip4/0.0.0.0/tcp/9000")
    return address


def require_free(address: Multiaddr) -> None:
    """Raises :class:`OperatorError` where nobody can listen at an address of :func:`parse_listen_address` now."""
    # The library's sockets share their port (SO_REUSEPORT), so a second node on it would start without
    # an error and take half of the connections.
    version = next(protocol.name for protocol in address.protocols())
    port = int(address.value_for_protocol("tcp"))
    family = socket.AF_INET6 if version == "ip6" else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.value_for_protocol(version), port))
        except OSError as error:
            raise OperatorError(
                f"Cannot listen on {address} ({os.strerror(error.errno or 0)}); change listen in this home's "
                "config.toml, where each node of a machine has ports of its own, or stop what listens there"
            ) from error
