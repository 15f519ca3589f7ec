"""gRPC's health service: the server, and each of its services, serves once the store has been looked at."""

import asyncio
from collections.abc import AsyncIterator

from app.answering.answer import Answering
from app.dialects.messages import answer_of, message_of
from app.dialects.oip.rpc import SERVICE
from app.dialects.tensorflow_serving.rpc import MODEL, PREDICTION
from app.envelopes import PLAIN
from app.errors import NotHere
from app.http.call import Call
from app.http.dispatch import Address, Dialect, anybody
from app.protos.health_pb2 import HealthCheckRequest, HealthCheckResponse
from app.responses import Response

HEALTH = "grpc.health.v1.Health"
SERVICES = (SERVICE, PREDICTION, MODEL, HEALTH)
# Seconds between looks of a watch, which tells only changes.
LOOK_SECONDS = 1.0


async def check(answering: Answering, call: Call) -> Response:
    """Tell the status of the server, or of one service. Raises NotHere where there is no such service."""
    asked = await message_of(HealthCheckRequest, answering, call)
    if asked.service and asked.service not in SERVICES:
        raise NotHere
    return answer_of(HealthCheckResponse(status=_status(answering)))


async def watched(answering: Answering, service: str) -> AsyncIterator[HealthCheckResponse]:
    """Tell the status now, and after every change, until the server drains: it does not wait for those who watch."""
    said = None
    while True:
        is_known = not service or service in SERVICES
        status = _status(answering) if is_known else HealthCheckResponse.SERVICE_UNKNOWN
        if status != said:
            yield HealthCheckResponse(status=status)
            said = status
        if answering.jobs.is_draining:
            return
        await asyncio.sleep(LOOK_SECONDS)


def _status(answering: Answering) -> HealthCheckResponse.ServingStatus:
    return HealthCheckResponse.SERVING if answering.is_ready else HealthCheckResponse.NOT_SERVING


HEALTH_SERVICE = Dialect([Address("POST", f"/{HEALTH}/Check", check, anybody, is_probe=True)], PLAIN)
