"""A city's credit register, told as a story, run on real nodes, and computed a second time on paper.

=========== ===========================================================================================
cast        who takes part, with their keys
scenes      how a story is written: scenes that submit, wait, and go on
story       the story itself, chapter by chapter
director    brings a story onto a chain: reads final blocks, says what to submit next
paper       the register computed from the rows of a chain, sharing no code with ``chain/``
rows        blocks as the rows that the paper reads
audit       the paper compared with what every node's state says
=========== ===========================================================================================
"""
