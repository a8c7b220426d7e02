"""The whole protocol as a synchronous state machine: ``effects = engine.handle(event, now_ms)``.

Nothing in here waits, reads a clock, draws a random number or opens a socket; only the last room of this list
touches the disk.  Files import only files above them in this list::

  base          what everything stands on: refusals, encoding, keys, hashes
    errors        why something is refused, and whose fault it is
    meanings      what each reason means, and what would be needed instead
    newest        a mapping that keeps the newest of its entries
    codec         canonical encoding
    keys          Ed25519, the acceptance rule of signatures, did:key
    merkle        the root over a block's transactions

  tree          the authenticated tree over the state, in memory and as pages
    stateproof    what a state root commits to, and what shows what is under it
    statetree     the tree itself, in memory
    pages         the same as pages, of which only what is looked at is in memory
    planting      between the two: a tree whose pages are read when they are looked at
    ranges        a part of the state, shown to be all of it

  consensus     votes, finality, the fork choice, and what every header must satisfy
    statements    what a validator says about a branch, and when that proves it a liar
    attestations  standing behind a block that another made
    electorate    who leads, votes and speaks, and how that changes
    votes         prevotes, precommits, finality
    votecodec     the same as bytes, for the disk
    forkchoice    which of two tips wins
    headers       what a validator signs to make a block
    restart       from which block people let the chain go on
    ballots       what a block holds for the votes
    judgement     what every header must satisfy on its branch

  content       what is on a chain: transactions, policies, the genesis, blocks
    identities    whose a key is, and how that changes, as entries of the state
    proposals     what validators can decide together
    actions       what an actor does by a transaction
    kinds         the kinds of transactions on the wire
    consents      what others than its actor sign in one
    transactions  what an actor signs
    tables        documents, read with errors that say where
    language      the language of policies: every field, its bounds, and what it does
    clauses       what a policy says in numbers of people, their keys, voices and quotas
    policy        what may be recorded, and how a score follows from it
    policyfile    one read from its file or from the wire, and its mistakes
    amendments    which policy may follow another, and what it worsens
    founding      what organisations sign before there is a genesis
    genesis       the parameters that every node of one network shares
    blocks        a header and its transactions

  register      what transactions do: the state, and the rules of everybody's rights
    validators    who makes blocks, and how that changes
    statekeys     the keys of the state
    entries       the entries of the state
    state         what the registry knows, entry by entry
    view          a state to look at, wherever it is kept
    draft         changes tried on top of a state
    fence         what a fault of ours ends, and what not
    terms         what was promised when a record was filed, and no rule before its time
    markers       what ended stays ended
    authorities   what authorities are measured by
    offices       who holds an office, and which
    quotas        how much anybody may write a day
    recovery      a key is not a person: guardians, recovery, what they can undo
    arbiters      who may rule, drawn by lot
    scores        scores, tiers, and where each point comes from
    members       the rules of members: enrol, rotate
    ratings       what members say of one another: rate, withdraw, object, answer
    effects       what a record does while it counts, and who may act on it
    records       the rules of records: file, reopen
    objections    object, answer, rule, appeal
    repairs       ask for repair, approve, decline
    deadlines     what the chain itself does when a deadline of a record passes
    attributes    what is attested of a member for a while
    leaving       leave, and everything about somebody is forgotten
    annulments    an enrolment is said to be void: hearing, lot, ruling, appeal
    anchors       reports beside the chain
    governance    the rules of validators: motions
    offences      what a validator answers for: evidence, lost signing states
    registry      what each transaction does, and what falls due

  documents     what people and programs are shown: words, shapes, documents, proofs
    words         proposals, changes, policies, moments in words for people
    shapes        what a document holds, for those who describe it: as of which height it is
    registershapes  members, records, institutions and policies
    chainshapes   blocks, votes, validators, transactions
    nodeshapes    a running node
    people        members, ratings and records as documents, for HTTP and commands alike
    institutions  authorities, arbiters, motions and policies
    chronicle     blocks, transactions, votes and refusals
    proof         what shows offline where a member stands, and how that is checked
    prover        making one

  branches      the chain as it grows: the state after each block, branch by branch
    store         a state at the head: its entries, the tree over them, what falls due
    layers        what is on disk, as far as it was read, and over it what changed since
    trees         the tree over a state on disk, all of it in memory or the pages looked at
    paged         a state on disk, with what is not there yet in memory
    ledger        one branch: state, votes and undo from the snapshot to the head
    blocktree     the branches that can still win
    liars         who signed two chains that are both final
    lightchain    headers alone, and which of them are final
    blockchain    tree and ledger under the rule of the longest valid chain
    stall         whether finality stands still, and for want of whom

  protocol      one node: what it takes from the network, makes of it, and says
    queues        what waits of each actor, and whose next transaction blocks refuse
    aside         what was promised, and a block rules out that may lose
    mempool       transactions that wait for a block
    trial         whether a transaction may wait, and what the next block would make of it
    credentials   which validator's machine a peer is
    messages      what nodes say to each other
    clock         what time it is, and whether to sign by it
    admission     what the network brings unasked, and whether it gets in
    serving       what a node replies to a peer that asks
    events        what happens to an engine, and what it wants done
    heard         attestations that no block carries yet
    rescue        whether a restart may still come, and what it would undo
    filling       what fills a block
    production    when and what a validator signs
    silence       why a validator signs nothing, and when it will again
    arrivals      announced blocks that wait for their slot or their transactions
    pace          how much to ask of a peer at once
    suppliers     the peers that could bring blocks
    skeleton      headers whose blocks are not here yet
    download      their blocks, from several peers at once
    sync          whom to ask for what
    joining       a state fetched in parts, from several peers at once
    witness       who signed what, to notice who contradicts itself
    outbox        what one event makes of a node, in its order
    throttle      how much a block may hold, so that everybody has it in time
    headway       what follows where the head moves
    testimony     what a node says on the chain by itself
    intake        what peers bring of the chain, and what they are asked for
    engine        one node's protocol: who handles what, and when it speaks
    outlook       what a running node sees beside its disk, as documents

  disk          what is kept: the database, its tables, and what is read from them
    places        where the database of a home is: a file, or a server
    schema        its tables, and how what is in them is sealed
    database      the SQLite file, and errors that say what to do
    stored        its blocks, their finality, the policy in force
    postgres      the same tables on a server
    rows          the state of a node on disk, as it reads it
    derived       what follows from the entries, in tables of its own
    rebuild       all of that anew
    arrived       the database of a home that has joined by state
    newcomer      a home that joins by state, beside its own database until that is whole
    migrate       a database of the format before, in this one
    bodies        what blocks say, and how what is too old leaves the files
    storage       the one writer, and what a node starts from
    scrub         looking through a state for damage
    reader        looking into a database, also beside a running node
    shelves       parts of the state on disk, for who joins
    sources       what proofs are made from: the state on disk, and that of a running node
    entrynames    entries of the state for people
    recheck       a stored chain again, from its genesis
    inspection    one commit of a home's database, to ask
    history       a stored chain executed again, to tell what happened to a member
    past          what happened to all members, kept while a node runs
    answers       questions about blocks and validators, and their documents
    enquiries     questions about members and records
"""
