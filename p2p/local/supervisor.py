"""What a service manager that started this process is told, as systemd's ``sd_notify(3)`` has it."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def tell_supervisor(state: str) -> None:
    """Say ``READY=1`` or ``STOPPING=1`` to whoever wants to know; nobody does where ``NOTIFY_SOCKET`` is not set."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
