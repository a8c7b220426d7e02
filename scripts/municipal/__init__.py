"""A city's credit register, told as a story, run on real nodes, and computed a second time on paper.

=========== ===========================================================================================
cast        who takes part, with their keys
scenes      how a story is written: scenes that submit, wait, and go on
story       the story itself, chapter by chapter
director    brings a story onto a chain: reads final blocks, says what to submit next
audit       the paper, a :mod:`scripts.recount` of the chain, compared with what every node's state says
=========== ===========================================================================================
"""
