"""The register's configuration: its folder, its devices, its goods. See `edge_agents.config`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from edge_agents.counter.config import FOLDER, CounterConfig
from kessai.currency import BY_CODE

SAMPLE_PRICES = Path(__file__).parent / "prices" / "corner_shop.csv"


class RegisterConfig(CounterConfig):
    """What a register needs to know."""

    folder: Path = Field(Path("register"), description=FOLDER)
    price_list: Path = Field(
        SAMPLE_PRICES,
        description="The goods, a CSV file. Without it the sample is sold: `kessai agent prices`.",
        examples=["prices.csv"],
    )
    currency: str | None = Field(
        None,
        description="ISO 4217 code. Needed if the price list does not name its currency.",
        examples=["EUR"],
    )

    @field_validator("currency")
    @classmethod
    def _check_currency(cls, code: str | None) -> str | None:
        if code is not None and code not in BY_CODE:
            raise ValueError("should be a code of ISO 4217, such as EUR")
        return code
