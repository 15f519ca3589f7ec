"""The server that a good engineer writes by hand for one network: FastAPI, a pydantic body, one `tf.function`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field, FiniteFloat

from benchmarks.network import Network


class Question(BaseModel):
    inputs: list[list[FiniteFloat]] = Field(min_length=1, max_length=100_000)


class Answer(BaseModel):
    pattern: str
    version: int
    outputs: list[list[float]]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.network = Network.read()
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/predict/add-ten")
async def predict(question: Question, request: Request) -> Answer:
    # On the event loop: a call takes a third of a millisecond, about as long as handing it to a thread and back.
    outputs = request.app.state.network(np.asarray(question.inputs))
    return Answer(pattern="add-ten", version=1, outputs=outputs.tolist())
