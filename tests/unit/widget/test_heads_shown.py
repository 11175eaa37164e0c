"""What heads are coloured and ordered by is state like everything else; a model given can be asked."""

import pytest

from attnscope import AttentionWidget, capture
from attnscope.widget.selection import SelectionError
from tests.models import causal
from tests.unit.widget.test_widget import make


def test_colour_and_order_are_traits_and_in_the_snippet():
    widget = AttentionWidget(make(), color_by="role", order_by="likeness")
    widget.order_by = "entropy"
    assert "color_by='role'" in widget.snippet().replace('"', "'")
    assert "order_by='entropy'" in widget.snippet().replace('"', "'")


@pytest.mark.parametrize(("trait", "near"), [("color_by", "'entropy'"), ("order_by", "'entropy'")])
def test_what_no_head_has_is_refused_with_the_nearest(trait, near):
    widget = AttentionWidget(make())
    before = getattr(widget, trait)
    with pytest.raises(SelectionError, match=f"no {trait} 'entrpy'.*{near}"):
        setattr(widget, trait, "entrpy")
    assert getattr(widget, trait) == before


def test_the_page_knows_whether_the_model_can_be_run():
    model, tokenizer = causal.loaded("gpt2")
    c = capture(model, tokenizer, causal.TEXT)
    assert "runs" not in AttentionWidget(c)._capture
    widget = AttentionWidget(c, model=model, tokenizer=tokenizer)
    assert widget._capture["runs"] is True
    widget.capture = capture(model, tokenizer, "another text")
    assert widget._capture["runs"] is True
