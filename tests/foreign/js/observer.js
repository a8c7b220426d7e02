// Joins a network as an observer, follows its blocks, fetches them and a proof, checks all of it, and says so, one JSON
// document a line:  node observer.js ADDRESS CHAIN_ID GENESIS_FILE KEY [BLOCKS]
//
// ADDRESS is a multiaddr with /p2p/, CHAIN_ID and KEY are hexadecimal.  It ends with code 0 once so many gossiped blocks
// (3), and whole blocks, were checked, headers counted from the genesis made something final, and a proof about KEY shows an
// account in a final state, with 1 where the node sends it away, with 2 where something is not as it should be; else it
// goes on.

import { readFileSync } from 'node:fs'

// Node.js 20 does not have it, and js-libp2p wants it.
Promise.withResolvers ??= function () {
  const made = {}
  made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}

const { gossipsub } = await import('@libp2p/gossipsub')
const { identify } = await import('@libp2p/identify')
const { noise } = await import('@libp2p/noise')
const { ping } = await import('@libp2p/ping')
const { tcp } = await import('@libp2p/tcp')
const { yamux } = await import('@libp2p/yamux')
const { multiaddr } = await import('@multiformats/multiaddr')
const { createLibp2p } = await import('libp2p')
const { decode } = await import('./encoding.js')
const { check, hex, same } = await import('./bytes.js')
const { readAnnouncement, readAttestation, readBlock, readHeading } = await import('./ledger.js')
const { checkProof, votesOf } = await import('./proof.js')
const wire = await import('./wire.js')

const AT_ONCE = 256
const [address, chain, genesisFile, wanted, blocksWanted = '3'] = process.argv.slice(2)
const chainId = Buffer.from(chain, 'hex')
const key = Buffer.from(wanted, 'hex')
const genesis = JSON.parse(readFileSync(genesisFile, 'utf8'))
const prefix = wire.prefixOf(chainId)
const topic = prefix + 'blocks'
const say = (event, facts = {}) => console.log(JSON.stringify({ event, ms: Math.round(performance.now()), ...facts }))

// What js-libp2p gives up after seconds takes longer where the machine does much else.
const timeout = 300_000
const node = await createLibp2p({
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionManager: { dialTimeout: timeout, addressDialTimeout: timeout, inboundStreamProtocolNegotiationTimeout: timeout, outboundStreamProtocolNegotiationTimeout: timeout },
  connectionMonitor: { enabled: false },
  services: {
    identify: identify({ timeout }),
    ping: ping({ timeout }),
    pubsub: gossipsub({ globalSignaturePolicy: 'StrictSign', msgIdFn: ({ topic, data }) => wire.messageId(topic, data), allowPublishToZeroTopicPeers: true })
  }
})
const requests = new wire.Requests(node, prefix)
const peer = multiaddr(address)
const seen = { gossiped: 0, fetched: 0, attested: 0, final: 0, isProven: false, isFetching: false, isMeeting: false }
let votes = votesOf(genesis, chainId)

// What any peer may ask of us, and what it may tell.
await requests.serve('ping', () => Buffer.alloc(0))
await requests.serve('status', () => wire.nothing(chainId))
await requests.serve('peers', () => Buffer.from([0x90]))
await requests.serve('hello', () => wire.hello(wire.nothing(chainId)))
await node.handle(prefix + 'attest', async (stream) => {
  for await (const items of wire.frames(stream)) {
    for (const item of decode(items)) await readAttestation(item, chainId)
    if (seen.attested++ === 0) say('attested')
  }
})
await node.handle('/goodfaith/refused/1', async (stream) => {
  for await (const refusal of wire.frames(stream)) {
    say('refused', wire.readRefusal(refusal))
    process.exit(1) // at once: the stream may not end, but break off
  }
})

node.services.pubsub.addEventListener('message', ({ detail }) => {
  if (detail.topic === topic) heard(detail.data).catch(away)
})

async function heard (data) {
  const { header, ids } = await readAnnouncement(data, chainId)
  seen.gossiped++
  say('gossiped', { height: header.height, id: hex(header.id), transactions: ids.length })
  if (!seen.isFetching) await fetchAll(header)
}

async function fetchAll (header) {
  seen.isFetching = true
  const from = Math.max(1, header.height - 4)
  const count = header.height - from + 1
  const ask = async (name) => decode(await requests.ask(peer, name, wire.range(header.id, from, count)))
  const headings = await Promise.all((await ask('headings')).map(async (each) => (await readHeading(...decode(each), chainId)).header))
  const blocks = await Promise.all((await ask('blocks')).map((each) => readBlock(each, chainId)))
  if (!headings.length || !blocks.length) { // it announces what it is about to execute
    seen.isFetching = false
    return
  }
  check(headings.length === blocks.length, 'as many blocks as headings')
  blocks.forEach((block, at) => check(same(block.header.id, headings[at].id), 'blocks and headings are the same'))
  blocks.slice(1).forEach((block, at) => check(same(block.header.parent, blocks[at].header.id), 'blocks follow each other'))
  if (blocks.length) say('fetched', { heights: blocks.map(({ header }) => header.height), transactions: blocks.reduce((sum, { transactions }) => sum + transactions.length, 0) })
  seen.fetched += blocks.length
  await countUpTo(header).catch(() => {
    votes = votesOf(genesis, chainId) // it may have been another branch
    return countUpTo(header)
  })
  if (!seen.isProven) await prove()
  seen.isFetching = false
  if (seen.gossiped >= Number(blocksWanted) && seen.fetched && seen.attested && seen.final && seen.isProven) await finish()
}

// Who votes and what is final, from the genesis on.
async function countUpTo (header) {
  while (votes.height < header.height) {
    const replies = decode(await requests.ask(peer, 'headings', wire.range(header.id, votes.height + 1, AT_ONCE)))
    if (!replies.length) return
    for (const each of replies) await votes.take(await readHeading(...decode(each), chainId))
  }
  seen.final = votes.final
  say('counted', { height: votes.height, final: votes.final, weights: votes.electorate.current.weights.map(([, weight]) => weight), isChanging: votes.electorate.phase !== null })
}

async function prove () {
  let file
  try {
    file = await requests.ask(peer, 'proof', key)
  } catch (error) {
    return say('unproven', { why: error.message }) // nothing is final yet
  }
  const shown = await checkProof(file, genesis, chainId, key)
  say('proven', { ...shown, bytes: file.length })
  seen.isProven = shown.isMember
}

async function finish () {
  say('pinged', { ms: await node.services.ping.ping(peer) })
  say('done', seen)
  process.exit(0)
}

// Where the connection was lost in the middle, the next block is another try.
function away (error) {
  if (!(error instanceof wire.Away)) fail(error)
  seen.isFetching = false
  say('away', { why: error.message })
}

function fail (error) {
  say('failed', { why: error.stack })
  process.exit(2)
}

process.on('unhandledRejection', fail)
process.on('uncaughtException', fail)

node.addEventListener('peer:identify', ({ detail }) => say('identified', { agent: detail.agentVersion, protocols: detail.protocols.length, addresses: detail.listenAddrs.map(String) }))
node.addEventListener('peer:disconnect', () => {
  say('disconnected')
  meet()
})
node.services.pubsub.subscribe(topic)
await meet()

// A node that is busy for too long is lost, and dialled again, as peers do.
async function meet () {
  if (seen.isMeeting) return
  seen.isMeeting = true
  try {
    await node.dial(peer)
    const [, status] = decode(await requests.ask(peer, 'hello', wire.hello(wire.nothing(chainId))))
    say('greeted', wire.readStatus(status))
  } catch (error) {
    say('not greeted', { why: error.message }) // it is about to say why
    setTimeout(() => node.getPeers().length || meet(), 1_000)
  } finally {
    seen.isMeeting = false
  }
}
