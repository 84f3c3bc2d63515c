"""Everything that the OpenAPI page admits, asked by schemathesis: no 5xx, nothing undescribed."""

from pathlib import Path

import pytest
from serving import run

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


def test_the_server_answers_as_it_is_described(zoo: Path) -> None:
    with run(zoo, token="0123456789abcdef") as running:
        api = running.client.app._app  # type: ignore[attr-defined]
        schema = schemathesis.openapi.from_asgi("/openapi.json", api)
        asked = 0
        for found in schema.get_all_operations():
            operation = found.ok()

            @settings(
                max_examples=10,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy())
            def ask(case: object) -> None:
                nonlocal asked
                asked += 1
                case.call_and_validate(checks=CHECKS)  # type: ignore[attr-defined]

            ask()
        assert asked >= 10
