"""The reader of config files: bytes to models, with every error of a file at once, each naming its place.

A file may be large, hostile or hand-edited in a hurry: whatever it holds, the answer is a model or a list of sentences.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from simcore.config.fields import File
from simcore.config.models import FILES
from simcore.domain.errors import did_you_mean

MAX_FILE_BYTES = 4_000_000
MAX_DEPTH = 24
MAX_ERRORS = 50
LONGEST_KEY = 60

BOUNDS = {
    "greater_than": ("must be > {}", "gt"),
    "greater_than_equal": ("must be >= {}", "ge"),
    "less_than": ("must be < {}", "lt"),
    "less_than_equal": ("must be <= {}", "le"),
}
KINDS = {
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "bool_type": "must be true or false",
    "string_type": "must be text in quotes",
    "dict_type": "must be an object in braces",
    "model_type": "must be an object in braces",
    "tuple_type": "must be a list in brackets",
    "date_type": "must be a date like 2025-05-04",
    "date_parsing": "must be a date like 2025-05-04",
    "date_from_datetime_parsing": "must be a date like 2025-05-04",
    "date_from_datetime_inexact": "must be a date like 2025-05-04",
    "finite_number": "must be a finite number",
}


class _Repeated(dict[str, Any]):
    """An object of the file that gives some keys twice; a parser would silently keep the last."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    marked = _Repeated(plain)
    marked.repeated = tuple(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
    return marked


def _objects(tree: Any) -> Iterator[tuple[str, Any, int]]:
    waiting: list[tuple[str, Any, int]] = [("", tree, 1)]
    while waiting:
        place, node, depth = waiting.pop()
        yield place, node, depth
        if depth <= MAX_DEPTH:
            items = node.items() if isinstance(node, dict) else enumerate(node)
            waiting += [(f"{place}{key}.", value, depth + 1) for key, value in items if isinstance(value, (dict, list))]


def read_json(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the object a file holds and what is wrong with its bytes; the object is empty if anything is."""
    name = path.name
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            return {}, [f"{name}: is larger than {MAX_FILE_BYTES:,} bytes. Is it a configuration file?"]
        tree = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_object)
    except OSError as error:
        return {}, [f"{name}: cannot be read ({error.strerror or error}). Expected at {path}."]
    except UnicodeDecodeError as error:
        return {}, [f"{name}: is not UTF-8 text (byte {error.start}). Save it with UTF-8 encoding."]
    except json.JSONDecodeError as error:
        return {}, [f"{name}: line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}."]
    except RecursionError:
        return {}, [f"{name}: is nested too deeply."]
    except ValueError:
        return {}, [f"{name}: holds a number with too many digits."]
    if not isinstance(tree, dict):
        return {}, [f"{name}: must hold one object in braces (got {shown(tree)})."]
    problems = []
    for place, node, depth in _objects(tree):
        where = _where(name, place.rstrip("."))
        if depth > MAX_DEPTH:
            return {}, [f"{name}: is nested too deeply."]
        if isinstance(node, _Repeated):
            problems += [f"{where}: key '{key[:LONGEST_KEY]}' is given twice" for key in node.repeated[:MAX_ERRORS]]
    return ({} if problems else tree), problems


def one_line(text: str) -> str:
    r"""Return an error line with every character that could break or hide it escaped: names in files are anybody's.

    >>> one_line("a.json: b\x85c")
    'a.json: b\\x85c'
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def shown(value: object) -> str:
    """Return a value as an error quotes it: as in the file, cut to a readable length."""
    if isinstance(value, (dict, list, tuple)):
        return "an object" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    try:
        text = repr(value)
    except ValueError:  # an integer beyond Python's own digit limit
        return "a huge number"
    return text if len(text) <= 60 else text[:57] + "..."


def _dotted(place: Sequence[str | int]) -> str:
    return ".".join(str(part)[:LONGEST_KEY] for part in place)


def _where(name: str, place: str) -> str:
    return f"{name}: {place}" if place else name


def _model_at(model: Any, place: Sequence[str | int]) -> type[BaseModel] | None:
    """Return the model that stands at `place`, to know which keys it would have taken."""
    for part in place:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = next((f for key, f in model.model_fields.items() if part in (key, f.alias)), None)
            model = field.annotation if field else None
        elif get_origin(model) in (dict, Mapping):
            model = get_args(model)[1]
        elif get_origin(model) is tuple:
            model = get_args(model)[0]
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _sentence(name: str, model: type[File], error: ErrorDetails) -> str:
    kind, context, loc = error["type"], error.get("ctx", {}), list(error["loc"])
    is_key = bool(loc) and loc[-1] == "[key]"
    if is_key:
        loc.pop()
    where = _where(name, _dotted(loc))
    got = f"(got {shown(error['input'])})"
    if kind == "extra_forbidden":
        owner = _model_at(model, loc[:-1])
        known = [field.alias or key for key, field in owner.model_fields.items()] if owner else []
        key = str(loc[-1])[:LONGEST_KEY]
        return f"{_where(name, _dotted(loc[:-1]))}: unknown key '{key}'. {did_you_mean(key, known)}"
    if kind == "missing":
        return f"{where}: is missing"
    if is_key:
        return f"{where}: is not a usable name"
    if kind in BOUNDS:
        text, key = BOUNDS[kind]
        return f"{where}: {text.format(f'{context[key]:g}')} {got}"
    if kind == "value_error":
        return f"{where}: {context['error']} {got}"
    if kind == "literal_error":
        choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"{where}: must be one of {', '.join(choices)} {got}. {did_you_mean(str(error['input'])[:LONGEST_KEY], choices)}"
    text = KINDS.get(kind) or error["msg"].replace("Input should", "should").replace("String should", "text should")
    return f"{where}: {text[0].lower()}{text[1:]} {got}"


def _half_characters(tree: dict[str, Any]) -> Iterator[str]:
    """Yield where a lone surrogate stands, which JSON can write but no text can hold."""
    for place, node, _ in _objects(tree):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            for text in (key, value):
                if isinstance(text, str) and any(0xD800 <= ord(letter) < 0xE000 for letter in text):
                    yield f"{place}{key}".encode(errors="replace").decode()


def parse(stem: str, tree: dict[str, Any]) -> tuple[File | None, list[str]]:
    """Return the model of the file `stem`.json, or every reason why `tree` is not one."""
    model = FILES[stem]
    try:
        return model.model_validate_json(json.dumps(tree, ensure_ascii=False).encode()), []
    except UnicodeEncodeError:
        return None, [f"{_where(f'{stem}.json', place)}: holds half a character" for place in _half_characters(tree)]
    except ValidationError as trouble:
        errors = trouble.errors(include_url=False)
        more = [f"{stem}.json: and {len(errors) - MAX_ERRORS} more errors"] if len(errors) > MAX_ERRORS else []
        return None, [_sentence(f"{stem}.json", model, error) for error in errors[:MAX_ERRORS]] + more


def read_folder(folder: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the objects of all files of a config folder, and what is wrong with their bytes."""
    trees: dict[str, dict[str, Any]] = {}
    errors: list[str] = []
    if not folder.is_dir():
        return {}, [f"{folder}: is not a folder with configuration files. `simcore init DIR` makes one."]
    present = {path.name for path in folder.glob("*.json")}
    wanted = {f"{stem}.json" for stem in FILES}
    for stem in FILES:
        name = f"{stem}.json"
        if name not in present:
            strangers = sorted(present - wanted)
            hint = f" Found {', '.join(strangers)}." if strangers else ""
            errors.append(f"{name}: is missing in {folder}.{hint} `simcore init DIR` writes a complete set.")
            continue
        tree, problems = read_json(folder / name)
        errors += problems
        if not problems:
            trees[stem] = tree
    return trees, errors
