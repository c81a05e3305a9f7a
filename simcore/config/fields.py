"""The fields of config/*.json: the base of every model, and the types that many keys share.

A key is named like the thing it feeds: a `Veto` or `Screen` member in lower case, or a record field. Units are in the
names: `_pct` is a fraction (0.05 is 5 %), `_bps` 1e-4, `_s` seconds, `_usd` quote units. A key that other objects may
override is defined once; `overrides_of` derives the optional form.
"""

# No postponed annotations here: pydantic would evaluate each again while loading, a tenth of its time.
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, WrapSerializer, create_model

INTERVALS_S = {
    "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1_800, "1h": 3_600, "2h": 7_200, "4h": 14_400, "6h": 21_600,
    "8h": 28_800, "12h": 43_200, "1d": 86_400,
}  # fmt: skip


class Model(BaseModel):
    """What every object of the files has: no unknown keys, no guessing of types, no NaN, no change after loading."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    note: str = Field("", max_length=1_000, description="Free words for the reader; decides nothing.")


class File(Model):
    """A whole file, with the schema that editors complete it from."""

    schema_: str = Field("", alias="$schema", description="Where an editor finds the schema of this file.")


def _all_or_names(value: object) -> Literal["all"] | tuple[str, ...]:
    if value == "all":
        return "all"
    if isinstance(value, (list, tuple)) and value and all(isinstance(name, str) for name in value):
        if len(set(value)) < len(value):
            raise ValueError("names a symbol twice")
        return tuple(value)
    raise ValueError('must be "all" or a list of symbols')


K = TypeVar("K")
V = TypeVar("V")
Table = Annotated[Mapping[K, V], AfterValidator(MappingProxyType), WrapSerializer(lambda table, plain: plain(dict(table)))]
Share = Annotated[float, Field(gt=0, le=1)]
Part = Annotated[float, Field(ge=0, le=1)]
Exposure = Annotated[float, Field(gt=0, le=10)]
Bps = Annotated[float, Field(ge=0, le=10_000)]
Seconds = Annotated[float, Field(ge=0, le=31_622_400)]
SomeSeconds = Annotated[float, Field(ge=0.001, le=31_622_400)]
Usd = Annotated[float, Field(gt=0, le=1e10)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,59}$")]
Symbol = Annotated[str, StringConstraints(pattern=r"^[^\s./\\\x00-\x1f]{1,40}$")]
Asset = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,12}$")]
Symbols = Annotated[
    Any,
    AfterValidator(_all_or_names),
    WithJsonSchema({"anyOf": [{"const": "all"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Interval = Literal["base", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"]


def overrides_of(model: type[BaseModel], name: str, keys: str = "") -> Any:
    """Return `model` with `keys` (default: all its own) optional: what a narrower scope may say again."""
    chosen = keys.split() or [key for key in model.model_fields if key not in File.model_fields]
    fields: dict[str, Any] = {}
    for key in chosen:
        field = model.model_fields[key]
        fields[key] = (Annotated[field.annotation, Field(description=field.description), *field.metadata], None)
    words = f"{name}: what is not written here is taken from the wider scope."
    return create_model(name, __base__=Model, __doc__=words, **fields)
