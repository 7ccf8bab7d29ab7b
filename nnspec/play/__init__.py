"""The page of ``nnspec play``: a thousand networks at once, in the browser.

The page is written in TypeScript (see ``web/``) and built into ``page.html`` here. It knows no entry by name: the
formulas that it trains by are traced from the catalog (``forms``, ``entries``) and put into it with the state that it
begins with (``page``).
"""
