"""docs/api.md cannot forget a route, a filter or a status."""

from pathlib import Path

from flask import Flask

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_route_is_on_the_page(app: Flask) -> None:
    routes = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.rule.startswith(("/webhooks", "/plugin", "/hints"))
    }
    assert not [route for route in routes if f"`{route}`" not in PAGE]


def test_every_filter_is_on_the_page(app: Flask) -> None:
    document = app.test_client().get("/api/v1/openapi.json").get_json()
    for path, operations in document["paths"].items():
        names = {
            each["name"] for each in operations.get("get", {}).get("parameters", []) if each["in"] == "query"
        }
        named = path.replace("{", "<").replace("}", ">")
        line = (
            next(line for line in PAGE.splitlines() if f"`GET {named}`" in line)
            if "get" in operations
            else ""
        )
        for name in names - {"limit", "cursor", "account"}:
            assert f"`{name}`" in line, f"{name} of {path}"
