"""``nnspec play``: a thousand networks at once, in a page for the browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence

from nnspec.cli.flags import Flags, UsageError
from nnspec.files import writable


def play(arguments: Sequence[str]) -> int:
    """Write the page, and open it in the browser."""
    parser = Flags("play", "A page that trains up to 10,000 networks of a spec at once: nnspec play activation=relu")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="what the page begins with")
    parser.add_argument("--out", metavar="FILE", default="play.html", help="where to write the page (play.html)")
    parser.add_argument("--no-open", action="store_true", help="do not open it in the browser")
    parser.parts()
    asked = parser.parsed(arguments)
    from nnspec.compose import spec as compose
    from nnspec.play.page import page

    text = page(compose(asked.overrides), asked.overrides)
    with writable("--out", asked.out) as target:
        target.write_text(text, encoding="utf-8")
    print(target)
    if not asked.no_open and not webbrowser.open(target.resolve().as_uri()):
        raise UsageError(f"the page needs a browser, but none was found; open {target} yourself, or add --no-open")
    return 0
