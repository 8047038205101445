"""What axe-core finds wrong with a page, for people who use a screen reader, a keyboard or a magnifier."""

from __future__ import annotations

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

#: Every rule that axe has for documents, its advice beyond WCAG included, and the size of targets, which it leaves out.
_OPTIONS = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}


def violations(page: Page) -> list[str]:
    """One line for each element that breaks a rule: the rule, the element, and what axe says about it."""
    if page.evaluate("typeof axe") == "undefined":  # it is large, and stays until the page is left
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("options => axe.run(options)", _OPTIONS)["violations"]
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {' '.join(str(node['failureSummary']).split())}"
        for rule in found
        for node in rule["nodes"]
    ]
