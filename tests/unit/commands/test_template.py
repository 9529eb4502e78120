"""Go-like templates as docker's users write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands.template import Template
from core.errors import UsageError

DATA = {
    "Id": "abc",
    "State": {"Running": True, "ExitCode": 0},
    "Mounts": [{"Source": "/a"}, {"Source": "/b"}],
    "Env": ["A=1", "B=2"],
    "Labels": {"x": "y"},
    "None": None,
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{.Id}}", "abc"),
        ("{{ .State.Running }}/{{.State.ExitCode}}", "true/0"),
        ("{{.Id}}\\t{{.Id}}", "abc\tabc"),
        ("{{json .State}}", '{"Running":true,"ExitCode":0}'),
        ("{{.Env}}", "[A=1 B=2]"),
        ("{{.Labels}}", "map[x:y]"),
        ("{{.None}}", "<no value>"),
        ("{{range .Mounts}}{{.Source}} {{end}}", "/a /b "),
        ("{{range .Env}}<{{.}}>{{end}}", "<A=1><B=2>"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{if .State.ExitCode}}bad{{else}}good{{end}}", "good"),
        ('{{index .Labels "x"}}', "y"),
        ("{{.Labels.x}}{{if .Labels.z}}z{{end}} {{.Labels.z}}", "y <no value>"),
        ("{{index .Env 1}}", "B=2"),
        ('{{join .Env ","}}', "A=1,B=2"),
        ("{{len .Env}}", "2"),
        ("{{.Id | upper}}", "ABC"),
        ('{{join .Env "|"}}', "A=1|B=2"),
        ("a {{- .Id -}} b", "aabcb"),
    ],
)
def test_render(text: str, shown: str) -> None:
    assert Template(text).render(DATA) == shown


@pytest.mark.parametrize(
    "text", ["{{.Id", "{{if .Id}}x", "{{end}}", "{{}}", "{{frobnicate .Id}}",
             "{{.Id.More}}", "{{index .Env 9}}", "{{range .State.ExitCode | len}}x{{end}}",
             "{{range len .Env}}x{{end}}", "{{join .Env .None}}", "{{.Id | }}"],
)  # fmt: skip
def test_errors_say_how_fields_are_written(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Template(text).render(DATA)
    assert "{{.Name}}" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "there"),
    [("{{.Nmae}}", ".Id, .State, .Mounts"), ("{{.State.Run}}", ".Running, .Exit")],
)
def test_a_wrong_field_is_answered_with_those_there_are(text: str, there: str) -> None:
    with pytest.raises(UsageError, match="there is no field") as caught:
        Template(text).render(DATA)
    assert there in caught.value.hint


@given(st.text('{}.ab |-"ifendrag ', max_size=30))
def test_any_text_renders_or_is_a_usage_error(text: str) -> None:
    try:
        Template(text).render(DATA)
    except UsageError:
        pass
