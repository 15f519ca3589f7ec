"""Listening sockets: passed on to worker processes, and never inherited."""

import pickle
import socket
from collections.abc import Iterator
from multiprocessing import resource_sharer
from multiprocessing.reduction import ForkingPickler

import pytest

from app.http.sockets import HOW_MANY, Listening


@pytest.fixture
def listening() -> Iterator[list[Listening]]:
    bound = socket.create_server(("127.0.0.1", 0))
    bound.set_inheritable(True)  # as uvicorn makes it
    listening = Listening.at(bound)
    assert bound.fileno() == -1
    yield [one for one in listening if isinstance(one, Listening)]
    for one in listening:
        one.close()


def test_they_are_copies_of_one_socket_that_no_process_inherits(listening: list[Listening]) -> None:
    assert len(listening) == HOW_MANY
    assert len({one.getsockname() for one in listening}) == 1
    assert len({one.fileno() for one in listening}) == HOW_MANY
    assert not any(one.get_inheritable() for one in listening)


def test_one_that_was_passed_to_a_process_is_not_inherited_from_there_either(listening: list[Listening]) -> None:
    try:
        with pickle.loads(ForkingPickler.dumps(listening[0])) as received:
            assert isinstance(received, Listening)
            assert received.getsockname() == listening[0].getsockname()
            assert not received.get_inheritable()
    finally:
        resource_sharer.stop()


def test_a_client_is_accepted_by_any_of_them(listening: list[Listening]) -> None:
    for one in listening[:2]:
        with socket.create_connection(listening[0].getsockname(), timeout=10):
            accepted, _ = one.accept()
            accepted.close()
