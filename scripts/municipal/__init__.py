"""A city's credit register, told as a story, run on real nodes, and computed a second time on paper.

=========== ===========================================================================================
cast        who takes part, with their keys
scenes      how a story is written: scenes that submit, wait, and go on
stage       what every scene has at hand
casework    scenes about records
people      scenes about keys: who comes, moves, loses one, leaves
story       the story itself, chapter by chapter
telling     what happened, in sentences
director    brings a story onto a chain: reads final blocks, says what to submit next
audit       the paper, a :mod:`scripts.recount` of the chain, compared with what every node's state says
=========== ===========================================================================================
"""
