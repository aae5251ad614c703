"""Reading a container against what it must hold: the JSON header's schema and the types of its tensors."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from pydantic import ValidationError as SchemaError

from neurosparse.core.container import Container
from neurosparse.errors import ArtifactError

__all__ = ["Count", "Duration", "Header", "Size", "parse_header", "refuse_others", "typed_tensor"]

Count = Annotated[int, Field(ge=1, lt=2**31)]
Size = Annotated[int, Field(ge=0)]
Duration = Annotated[float, Field(gt=0)]


class Header(BaseModel):
    """A header or a part of one: no unknown fields, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True)


HeaderT = TypeVar("HeaderT", bound=Header)


def parse_header(container: Container, schema: type[HeaderT]) -> HeaderT:
    """Return the header of `container` as a `schema`. Raises `ArtifactError` naming the field that is wrong."""
    try:
        return schema.model_validate(container.header)
    except SchemaError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(
            f"{container.path}: header field {where}: {first['msg']}, got {str(first['input'])[:80]!r}"
        ) from error


def typed_tensor(container: Container, name: str, dtypes: tuple[np.dtype[Any], ...]) -> NDArray[Any]:
    """Return the tensor called `name`. Raises `ArtifactError` if it is missing or has none of `dtypes`."""
    array = container.tensor(name)
    if array.dtype not in dtypes:
        expected = " or ".join(str(dtype) for dtype in dtypes)
        raise ArtifactError(f"{container.path}: tensor {name!r} has type {array.dtype}, expected {expected}")
    return array


def refuse_others(container: Container, expected: set[str]) -> None:
    """Raise `ArtifactError` if `container` has a tensor that is not `expected`."""
    others = [name for name in container.names() if name not in expected]
    if others:
        raise ArtifactError(f"{container.path}: unexpected tensor {others[0]!r}; the header does not mention it")
