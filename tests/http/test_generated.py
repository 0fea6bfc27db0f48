"""What generators of API clients need of the description, beyond its being valid."""

import builtins
import keyword

from serve.http.api.description import describe

DOCUMENT = describe()
# Of JavaScript and TypeScript, and of the languages whose standard library is always in scope.
TAKEN = {
    *("Array", "Blob", "Date", "Error", "Event", "File", "Function", "Map", "Number", "Object"),
    *("Promise", "Proxy", "Record", "Request", "Response", "Set", "String", "Symbol", "Worker"),
    *("Exception", "Iterable", "List", "Optional", "Progress", "Result", "Thread", "Type", "Void"),
    *dir(builtins),
}
# What the common generators send; the server looks at others, too.
SENT = {"application/json", "multipart/form-data", "application/octet-stream"}


def operations():
    return [what for path in DOCUMENT["paths"].values() for what in path.values()]


def nodes(node):
    """Every object of a document that is not an example."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if isinstance(node, dict):
        yield node
        for name, child in node.items():
            if name not in ("example", "examples"):
                yield from nodes(child)


def test_schemas_have_names_of_their_own():
    names = DOCUMENT["components"]["schemas"]
    assert not set(names) & TAKEN
    assert all(name.isidentifier() and name[0].isupper() for name in names)


def test_operations_have_names_that_functions_can_have():
    names = [operation["operationId"] for operation in operations()]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and not keyword.iskeyword(name) for name in names)


def test_a_status_has_one_type():
    for operation in operations():
        for status, response in operation["responses"].items():
            assert len(response["content"]) == 1, (operation["operationId"], status)


def test_bodies_are_of_types_that_clients_send():
    for operation in operations():
        assert set(operation.get("requestBody", {"content": {}})["content"]) <= SENT


def test_an_object_says_what_is_in_it():
    objects = [node for node in nodes(DOCUMENT) if node.get("type") == "object"]
    assert len(objects) > 20
    # Without either it is generated as one that is always empty.
    assert all("properties" in node or "additionalProperties" in node for node in objects)


def test_what_is_used_twice_has_a_name():
    inline = [str(node) for node in nodes(DOCUMENT["paths"]) if "enum" in node]
    assert not inline
