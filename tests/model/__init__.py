"""An abstract model of the consensus, which shares no code with ``chain/``: what the rules alone promise.

  knobs       every rule that can be taken out, and what is then done instead
  sets        voting sets, and the phases in which one replaces another
  rules       a block on its branch: what is valid, how votes are counted, who is guilty
  honest      what an honest validator may say
  world       one history: a scheduler that knows all, Byzantine validators that say anything
  scenarios   kinds of worlds: who is there, what changes, who lies
  search      random histories, and what is wrong in them
  exhaustive  every history of four validators up to a few blocks
  broken      for each rule taken out, where that shows, or why it costs no safety
  traces      a history as plain data, to compare the model with an implementation in both directions

There are no slots and no clocks here.  Any leader may make a block at any time, also one that casts no vote; an honest
validator may speak on any tip that the order of (mhp, height) allows, whatever its head is; observers see every branch.
That is more than a network can do, so what no history here can do, none can there.
"""
