"""A network and its disasters, written down: what a manifest says, and whether what it asserts came true.

Neither processes nor a simulator are known here; both runners bring what they saw.  From the file to the verdict::

    keys        how one key is read, and what the page says of it
    things      everything that can stand in a manifest
    reading     from TOML to a manifest, with mistakes by line
    sense       what contradicts itself
    writing     from a manifest to TOML
    drawing     a manifest from a seed
    lines       when what is sent arrives, and what a cut stops
    founding    the keys and the genesis of its network, and what clients sign
    change      the motion that replaces a validator
    record      what a runner saw, slot by slot
    judging     what each assertion makes of that
    telling     the verdicts for people and programs
    page        ``scripts/docs/manifests.md``
"""
