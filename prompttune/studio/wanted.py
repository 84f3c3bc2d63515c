"""What a page asks for."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Classes = list[str]


class Example(BaseModel):
    """An image and its class map, both as `Store` names them."""

    model_config = ConfigDict(frozen=True)

    image: str
    mask: str


class Wanted(BaseModel):
    """An image to answer, and what with."""

    image: str
    kind: Literal["one-shot", "ensemble", "tuned", "key"]
    classes: Classes = Field(min_length=1, max_length=20)
    examples: list[Example] = Field(default=[], max_length=16)
    tuning: str | None = None
    key: str | None = None
    ask: str | None = Field(default=None, pattern="^[0-9a-f-]{1,64}$")
    """The page's own name for this question, under which it asks how far the answer is."""


class Begin(BaseModel):
    """A tuning to begin."""

    classes: Classes = Field(min_length=1, max_length=20)
    examples: list[Example] = Field(min_length=1, max_length=16)
    steps: int = Field(default=200, ge=1, le=5000)


class Save(BaseModel):
    """The name under which a tuned key is kept."""

    name: str = Field(max_length=64)


class Item(BaseModel):
    """A class map to download, with its image and the file name that the user gave it."""

    image: str
    mask: str
    name: str = Field(max_length=255)


class Download(BaseModel):
    """Masks and overlays to download."""

    classes: Classes = Field(min_length=1, max_length=20)
    items: list[Item] = Field(min_length=1, max_length=500)
