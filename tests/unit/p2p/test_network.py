"""The transport as a whole: how it opens, ends, and fails."""

from __future__ import annotations

import pytest
import trio

from chain.base.errors import InvariantBroken, OperatorError
from p2p.network import open_transport, unwrapped
from p2p.requests import Failure, RequestError
from tests.unit.p2p.net import PATIENCE_S, config_of, mesh_of, peer_id_of, running, until

OTHER_GENESIS = b"\x22" * 32


def test_what_travels_names_the_network_it_is_of() -> None:
    assert config_of(1).prefix == "/goodfaith/11/1111111111111111/"
    assert config_of(1, genesis_id=OTHER_GENESIS).prefix == "/goodfaith/11/2222222222222222/"


async def test_a_transport_says_who_it_is_and_where_it_listens() -> None:
    async with open_transport(config_of(1)) as transport:
        (address,) = transport.listen_addresses
        assert transport.peer_id == peer_id_of(1)
        assert address.startswith("/ip4/127.0.0.1/tcp/")
        assert address.endswith(f"/p2p/{peer_id_of(1)}")


async def test_nobody_is_met_before_it_starts() -> None:
    async with running(1) as node, open_transport(config_of(2, bootstrap=(node.address,))) as transport:
        with pytest.raises(RequestError) as caught:
            await transport.requests.ask(node.peer_id, "echo", b"", max_response=10, timeout_s=PATIENCE_S)
        assert caught.value.failure is Failure.DISCONNECTED
        assert not node.neighbours
        transport.start()
        await until(lambda: node.neighbours == {transport.peer_id})


async def test_another_genesis_is_another_network() -> None:
    async with running(1) as node, running(2, bootstrap=(node.address,), genesis_id=OTHER_GENESIS) as foreign:
        await until(lambda: foreign.transport.peers.bans() or node.transport.peers.bans())
        assert not node.neighbours
        assert not foreign.neighbours


async def test_a_broken_invariant_of_a_handler_comes_out_as_the_one_error_it_is() -> None:
    async def faulty(_peer_id: str, _request: bytes) -> bytes:
        raise InvariantBroken("seen in a handler")

    async def serve_and_be_asked() -> None:
        async with running(1) as friend, open_transport(config_of(2, bootstrap=(friend.address,))) as transport:
            transport.requests.serve("faulty", faulty, max_request=10, max_response=10, max_concurrent=1)
            transport.start()
            await until(lambda: transport.peer_id in friend.neighbours)
            with pytest.raises(RequestError):
                await friend.transport.requests.ask(
                    transport.peer_id, "faulty", b"", max_response=10, timeout_s=PATIENCE_S
                )
            await trio.sleep_forever()

    with pytest.raises(InvariantBroken, match="seen in a handler"):
        await serve_and_be_asked()


async def test_an_error_of_the_caller_comes_out_as_it_is() -> None:
    async def fail() -> None:
        async with open_transport(config_of(1)):
            raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        await fail()


async def test_of_several_errors_for_the_operator_the_first_comes_out() -> None:
    """A disk that is full is full for all who write at once."""
    full = OperatorError("make room")
    with pytest.raises(OperatorError, match="make room"):
        async with unwrapped():
            raise ExceptionGroup("two who write", [full, ExceptionGroup("deeper", [full])])
    with pytest.raises(ExceptionGroup, match="and a bug"):
        async with unwrapped():
            raise ExceptionGroup("and a bug", [full, KeyError()])


async def test_a_malformed_configured_peer_is_refused_before_anything_listens() -> None:
    with pytest.raises(OperatorError, match="is not the address of a peer"):
        async with open_transport(config_of(1, bootstrap=("example.org:4001",))):
            pass


async def test_leaving_the_block_ends_every_connection() -> None:
    async with running(1) as witness:
        async with running(2, bootstrap=(witness.address,)) as node:
            await until(lambda: witness.neighbours == {node.peer_id})
        await until(lambda: not witness.neighbours)
        assert witness.disconnected == [peer_id_of(2)]


async def test_everyone_in_a_small_network_is_in_everyones_mesh() -> None:
    async with mesh_of(3) as nodes:
        everyone = {node.peer_id for node in nodes}
        for node in nodes:
            assert node.transport.gossip.mesh("t") == everyone - {node.peer_id}
