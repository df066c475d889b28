"""Settings: hosts, secrets and databases. From the environment or `.env`, never the study file."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

AMAZON_SITES = (
    "https://www.mturk.com",
    "https://worker.mturk.com",
    "https://workersandbox.mturk.com",
)


class Settings(BaseSettings):
    """Read once where a program starts, and passed down; prefix `CLEARWINNER_`."""

    model_config = SettingsConfigDict(env_prefix="CLEARWINNER_", env_file=".env", extra="ignore")

    database_url: str | None = None
    """Of the study's records; a SQLite file in the study's folder when not given."""
    public_url: str = "http://localhost:8000"
    """Where workers' browsers reach the hit server."""
    image_url: str = ""
    """Where browsers find images that `clearwinner host-images` put elsewhere."""
    endpoint: str | None = None
    """Address of the marketplace's API; `AWS_ENDPOINT_URL_MTURK` is read too."""
    worker_sites: list[str] = Field(default=["http://127.0.0.1:8010"])
    """Origins, besides Amazon's, that may frame the pages and take submissions."""
    console_password: SecretStr = SecretStr("")
    """Opens the researcher's console; it is off without one."""
    secret_key: SecretStr = SecretStr("")
    """Signs what must not be forged. The marketplace makes its own where none is given."""

    @property
    def sites(self) -> tuple[str, ...]:
        """Every origin that may frame a page and take a submission."""
        return tuple(dict.fromkeys([*(s.rstrip("/") for s in self.worker_sites), *AMAZON_SITES]))
