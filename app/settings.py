"""The settings, read once at start: from `PATTERNS_*` variables, a `.env` file, or flags of `patterns serve`."""

import ipaddress
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

import models_store
from models_store.errors import PatternServerError
from models_store.names import NAME_RULE, is_name
from models_store.networks.architecture import Device, Engine
from models_store.networks.engines import missing_for_keras

DATABASES = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg")
# The variables that Vertex AI gives a container. Our own, wherever they are set, come first.
VERTEX = {"port": "AIP_HTTP_PORT", "health_route": "AIP_HEALTH_ROUTE", "predict_route": "AIP_PREDICT_ROUTE"}
BUCKET = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=/-]*)?"
Megabytes = Annotated[int, Field(ge=1, le=4096)]
TrainerPlace = Literal["auto", "none", "elsewhere"]
# A literal path: a name in braces would be a parameter.
Route = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~:/-]*$", max_length=500)]


def load_settings() -> "Settings":
    """Read the settings from the environment and `.env`. Raises SettingsError, which names each that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError.from_validation(error) from None


class SettingsError(PatternServerError):
    """Settings that cannot be used; the message names each of them."""

    code = "bad_setting"

    @classmethod
    def from_validation(cls, error: ValidationError) -> Self:
        """One phrase a setting; the value given is not repeated, it may be a key."""
        faults = error.errors(include_url=False, include_input=False)
        return cls("; ".join(f"{fault['loc'][0]}: {fault['msg'].removeprefix('Value error, ')}" for fault in faults))


class Settings(BaseSettings):
    """Frozen; as long-lived as the app."""

    model_config = SettingsConfigDict(
        env_prefix="PATTERNS_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on")
    grpc_port: int | None = Field(None, ge=1, le=65535, description="port of gRPC; off unless it is set")
    workers: int = Field(1, ge=1, le=64, description="serving processes")
    store: Path = Field(Path(models_store.__file__).parent / "artifacts", description="directory of the bundles")
    store_url: str | None = Field(None, description="bucket that the store is shared in: s3://BUCKET/PREFIX")
    database_url: SecretStr | None = Field(None, description="job records; default: SQLite inside the store")
    device: Device = Field("auto", description="what networks compute on")
    engine: Engine = Field("keras", description="what computes predictions: keras, or onnx without TensorFlow")
    admin_key: SecretStr | None = Field(None, description="guards everything that changes state")
    predict_key: SecretStr | None = Field(None, description="guards predictions, if set")
    default: str | None = Field(None, description="pattern that answers where a protocol names none")
    health_route: Route | None = Field(None, description="one more address of /health, as Vertex AI names it")
    predict_route: Route | None = Field(None, description="one more address of /invocations, as Vertex AI names it")
    max_body_mb: Megabytes = Field(16, description="largest request body")
    max_dataset_mb: Megabytes = Field(1024, description="largest table that may be uploaded")
    max_rows: int = Field(100_000, ge=1, description="most rows in one request")
    max_in_flight: int = Field(
        256, ge=1, description="requests under way before new ones get 503; a quarter is left to predictions"
    )
    max_header_kb: int = Field(32, ge=1, description="largest request line and headers together")
    header_seconds: float = Field(10, gt=0, description="time to send the headers")
    body_seconds: float = Field(60, gt=0, description="time to send the body")
    answer_seconds: float = Field(30, gt=0, description="time for one prediction before 504")
    drain_seconds: int = Field(20, ge=1, description="time to finish what is under way when told to stop")
    keep_versions: int = Field(5, ge=1, description="versions of a pattern that are kept")
    train_queue: int = Field(16, ge=1, description="trainings that may wait")
    train_seconds: float = Field(3600, gt=0, description="longest training")
    drift: bool = Field(True, description="whether questions are counted, to be held against the training rows")
    remembered_requests: int = Field(
        0, ge=0, le=10_000_000, description="newest requests whose answers are remembered, for outcomes by request id"
    )
    shadow_share: float = Field(
        0.1, ge=0, le=1, description="share of live questions that the version with the label shadow answers too"
    )
    trainer: TrainerPlace = Field(
        "auto", description="who trains: auto, this server if it has TensorFlow; none; elsewhere, another on this store"
    )
    trainer_memory_mb: int = Field(
        0, ge=0, description="memory limit of the trainer; 0: half of all, or none with a GPU"
    )
    trainer_warm: bool | None = Field(
        None,
        description="start the trainer process with the server, not with the first training; by default with keras",
    )
    ray: str | None = Field(
        None,
        description="Ray cluster for trials, folds, catalogue: auto (this machine is a node), ray://HOST:PORT, local",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="how much is logged")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        vertex = {name: os.environ[variable] for name, variable in VERTEX.items() if os.environ.get(variable)}
        return init_settings, env_settings, dotenv_settings, InitSettingsSource(settings_cls, vertex)

    @field_validator("store")
    @classmethod
    def _is_directory_or_new(cls, store: Path) -> Path:
        if store.exists() and not store.is_dir():
            raise ValueError("must be a directory; there is something else of this name")
        return store

    @field_validator("store_url")
    @classmethod
    def _is_bucket(cls, url: str | None) -> str | None:
        if url is not None and re.fullmatch(BUCKET, url, re.ASCII) is None:
            raise ValueError("must be s3://BUCKET or s3://BUCKET/PREFIX; the AWS_* variables say how to get there")
        if url is not None and find_spec("obstore") is None:
            raise ValueError("needs the extra s3, which is not installed: pip install 'pattern-server[s3]'")
        return url

    @field_validator("database_url")
    @classmethod
    def _is_known_database(cls, url: SecretStr | None) -> SecretStr | None:
        import sqlalchemy as sql  # deferred: settings are shown, and a server is asked, without it

        try:
            known = url is None or sql.make_url(url.get_secret_value()).drivername in DATABASES
        except (sql.exc.ArgumentError, ValueError):
            known = False
        if not known:
            raise ValueError("must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")
        return url

    @field_validator("admin_key", "predict_key")
    @classmethod
    def _fits_into_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        """White space would end it there, and characters that are not ASCII arrive as others."""
        if key is not None and re.fullmatch(r"[!-~]+", key.get_secret_value()) is None:
            raise ValueError("must be letters, digits and signs of ASCII, without white space")
        return key

    @field_validator("ray")
    @classmethod
    def _is_where_ray_may_be(cls, ray: str | None) -> str | None:
        if ray is not None and re.fullmatch(r"auto|local|ray://[^/?#@\s]+", ray) is None:
            raise ValueError("must be auto, local or ray://HOST:PORT")
        return ray

    @field_validator("default")
    @classmethod
    def _can_be_a_pattern(cls, name: str | None) -> str | None:
        if name is not None and not is_name(name):
            raise ValueError(f"must be the name of a pattern: {NAME_RULE}")
        return name

    @property
    def has_warm_trainer(self) -> bool:
        """True if the trainer process starts with the server.

        With the engine onnx, which needs little memory, TensorFlow is not loaded before there is something to train.
        """
        return self.engine == "keras" if self.trainer_warm is None else self.trainer_warm

    @property
    def why_untrained(self) -> str | None:
        """The reason why nobody trains what is submitted here, for messages; None if this server does, or another."""
        if self.trainer == "none":
            return "PATTERNS_TRAINER is none"
        missing = missing_for_keras() if self.trainer == "auto" else None
        return f"{missing} is not installed" if missing else None

    @property
    def trains(self) -> bool:
        """True if this server trains: what is submitted to it, and to others on its store and database."""
        return self.trainer == "auto" and self.why_untrained is None

    @property
    def max_body_bytes(self) -> int:
        return self.max_body_mb << 20

    @property
    def max_dataset_bytes(self) -> int:
        return self.max_dataset_mb << 20

    @property
    def jobs_url(self) -> str:
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.store.absolute() / 'jobs.sqlite3'}"

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
