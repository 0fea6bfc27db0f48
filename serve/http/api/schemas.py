"""The schemas of requests and answers, for the OpenAPI description."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from serve.answer import Answer, Extra, Failure, Progress
from serve.http.bodies import Check, Confinement, Info, Status

Json = dict[str, Any]
_BODIES = (Answer, Failure, Progress, Check, Status, Confinement, Info)
# Fields that have a default but are always sent.
_SENT = {"Answer": ["cached", "request_id"], "Failure": ["request_id"], "Progress": ["seconds"]}
_TEXT = {"type": "string"}
_INDEX = {"type": "integer", "minimum": 0, "description": "place in the request, or in the zip"}
_NAMES = {"url": "the link, as it was given", "name": "the file's name in the zip"}
_LABELS: Json = {
    "type": "object",
    "properties": {"index": _INDEX} | {of: _TEXT | {"description": _NAMES[of]} for of in _NAMES},
    "required": ["index"],
}


class _Schemas(GenerateJsonSchema):
    """Omits defaults and titles, from which client generators would make types of their own."""

    def default_schema(self, schema: Any) -> Json:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def ref(name: str, kind: str = "schemas") -> Json:
    """A reference to a component, by default to a schema."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schemas() -> Json:
    """All schemas by name.

    The names avoid those of common types in the languages of generated clients (`Error` exists in
    most of them, `Progress` in some).
    """
    _, found = TypeAdapter.json_schemas(
        [(body, "serialization", TypeAdapter(body)) for body in _BODIES],
        ref_template=ref("{model}")["$ref"],
        schema_generator=_Schemas,
    )
    named: Json = found["$defs"]
    for name, schema in named.items():
        del schema["title"]
        schema["required"] = schema.get("required", []) + _SENT.get(name, [])
    return named | {
        "TrackProgress": named.pop("Progress"),
        "Extra": _TEXT | {"enum": get_args(Extra), "description": "what answers may also hold"},
        "AnsweredLine": {"allOf": [_LABELS, ref("Answer")]},
        "FailedLine": {"allOf": [_LABELS, ref("Failure")]},
        "Line": {
            "description": "a line of a batch's answer: which track, and its answer or its failure",
            "oneOf": [ref("AnsweredLine"), ref("FailedLine")],
        },
    }
