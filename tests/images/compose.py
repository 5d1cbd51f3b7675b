"""deploy/compose.yaml as `docker compose` reads it, as far as this file goes."""

import pathlib
import re

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"


class Loader(yaml.SafeLoader):
    """Knows `!override`, which says how files are merged."""


Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node, deep=True))


def load(name):
    return yaml.load((DEPLOY / name).read_text(), Loader)


def interpolate(value, environment=None):
    """${NAME}, ${NAME:-default} and ${NAME:?what for}, in every string."""
    environment = environment or {}
    if isinstance(value, dict):
        return {key: interpolate(each, environment) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolate(each, environment) for each in value]
    if not isinstance(value, str):
        return value

    def replace(match):
        name, default = match[1], match[2] or ""
        if not environment.get(name):
            assert not default.startswith(":?"), f"{name} {default[2:]}"
        return environment.get(name) or default.removeprefix(":-")

    return re.sub(r"\$\{(\w+)(:[-?][^}]*)?\}", replace, value)


def services(name, environment=None):
    return interpolate(load(name), environment)["services"]
