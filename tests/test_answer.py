"""What derives from the one definition of an answer holds all of it."""

import re
from dataclasses import fields
from typing import get_args

from serve.answer import EXAMPLE, Answer, Stage, answer_type
from serve.http.middleware.tracing import _STAGES as TRACED
from serve.library.bars import _STAGES as ON_BARS
from serve.library.results import CsvLines
from serve.paths import ROOT

STAGES = set(get_args(Stage))
# What the page does itself, before the server hears of it.
OF_THE_PAGE = {"uploading"}


def test_every_stage_is_shown():
    assert set(ON_BARS) == STAGES
    assert {stage for pair in TRACED.values() for stage in pair if stage} == STAGES
    page = (ROOT / "serve" / "http" / "web" / "work.js").read_text("utf-8")
    lists = re.search(r"const STAGES = {(.*?)};", page, re.DOTALL)[1]
    skipped = re.search(r"const NEXT = {(.*?)};", page)[1]
    named = set(re.findall(r'"(\w+)"', lists)) | set(re.findall(r"(\w+):", skipped))
    assert named == STAGES | OF_THE_PAGE


def test_a_table_has_columns_of_the_answers():
    mine = {"track", "id", "code", "error"}
    columns = set(CsvLines([]).head.strip().split(","))
    assert columns - mine <= {field.name for field in fields(Answer)}


def test_what_is_stored_is_the_whole_answer():
    stored = answer_type().dump_json(EXAMPLE)
    assert answer_type().validate_json(stored) == EXAMPLE


def test_a_body_has_what_is_asked_for_and_nothing_empty():
    extra = {"clips", "mel"}
    assert set(EXAMPLE.body()) == {field.name for field in fields(Answer)} - extra - {"request_id"}
    assert set(EXAMPLE.body(frozenset(extra))) - set(EXAMPLE.body()) == extra
