"""Failures in the script of actions are told in full, as those in tests are."""

import pytest

pytest.register_assert_rewrite("tests.browser.hosts.actions", "tests.browser.hosts.kept")
