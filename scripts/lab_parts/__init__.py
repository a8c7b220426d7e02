"""The simulator in a reader's browser: Pyodide carries ``chain/`` and ``scripts/simulation`` as they are.

::

    standin     what signs in the browser, where no library for signatures is: it says so, and is no signature
    experiment  one network with villains, slot by slot, as documents
    engine      what travels to the browser: the project's own files, and three libraries without compiled parts
    server      a page on this machine

``experiment`` and ``standin`` run in the browser; all of it is served from this machine, and nothing from elsewhere.
``page`` holds the page, and what brings Pyodide there: ``npm ci``.
"""
