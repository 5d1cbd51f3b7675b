#!/usr/bin/env python3
"""Writes the tables of values in helm/weft/README.md: what values.yaml says above each of them.

    scripts/chart_readme.py [--check]

--check writes nothing, and fails if the README is not what it would write.
"""

import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parent.parent / "helm" / "weft"
BEGIN, END = "<!-- values: scripts/chart_readme.py -->\n", "<!-- end of values -->\n"


def comment_above(lines, key):
    """The comment whose last line stands directly above the key."""
    found = []
    for line in reversed(lines[:key.start_mark.line]):
        if not re.match(rf"^ {{{key.start_mark.column}}}# ", line):
            break
        found.insert(0, line.strip().removeprefix("# "))
    return " ".join(found)


def rows(lines, mapping, path, inherited=""):
    """(path, default, comment) of each value. A comment above a block is its first value's."""
    for key, value in mapping.value:
        comment = comment_above(lines, key) or inherited
        inherited = ""
        here = f"{path}.{key.value}"
        if isinstance(value, yaml.MappingNode) and value.value and not value.flow_style:
            yield from rows(lines, value, here, comment)
            continue
        if not comment:
            raise SystemExit(f"values.yaml: nothing is said of {here}")
        yield here, json.dumps(yaml.SafeLoader("").construct_object(value, deep=True)), comment


def table(found):
    text = "| value | default | |\n|---|---|---|\n"
    for path, default, comment in found:
        text += "| {} | {} | {} |\n".format(*(cell.replace("|", "\\|") for cell in (
            f"`{path}`", f"`{default}`", comment)))
    return text


def sections(text):
    lines = text.splitlines()
    alone = []
    for key, value in yaml.compose(text).value:
        comment = comment_above(lines, key)
        if isinstance(value, yaml.MappingNode) and value.value:
            intro = f"{comment}\n\n" if comment else ""
            yield f"### {key.value}\n\n{intro}" + table(rows(lines, value, key.value))
        else:
            alone.append((key, value))
    mapping = yaml.MappingNode("", alone)
    yield "### The rest\n\n" + table((path[1:], *more) for path, *more in rows(lines, mapping, ""))


def main():
    readme = CHART / "README.md"
    text = readme.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    values = "\n".join(sections((CHART / "values.yaml").read_text()))
    wanted = f"{before}{BEGIN}\n{values}\n{END}{after}"
    if "--check" not in sys.argv[1:]:
        readme.write_text(wanted)
    elif text != wanted:
        raise SystemExit(f"{readme} does not say what values.yaml says: run scripts/chart_readme.py")


if __name__ == "__main__":
    main()
