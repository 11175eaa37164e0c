"""AttentionWidget and its traits: the only room that imports anywidget and ipywidgets."""
