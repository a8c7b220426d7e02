// What the page knows of the running network: asked once, then kept up by the node's events, and checked as it comes.

import { Findings } from './check/findings.js'
import { Follower } from './check/follower.js'
import * as inspection from './check/inspection.js'
import { Node } from './node.js'
import { People } from './people.js'
import { didOf, unhex } from './check/bytes.js'
import { switchesOfTestnet } from './testnet.js'
import { count } from './words.js'

const SHOWN_BLOCKS = 48
const KEPT_BLOCKS = 400
const MOST_BLOCKS = 2_000 // whatever heights a node makes up
const KEPT_SAMPLES = 120
const KEPT_NEWS = 40
const REFRESH_MS = 300
const COMPARE_MS = 2_000
const RETRY_MS = 3_000

export class Live extends EventTarget {
  constructor (others) {
    super()
    this.people = new People()
    this.switches = switchesOfTestnet()
    this.node = new Node('', (names) => this.people.learn(names))
    this.others = others.map((url) => ({ url, node: new Node(url, (names) => this.people.learn(names)), status: null, peers: [] }))
    this.findings = new Findings(() => this.tell('trust'))
    this.blocks = new Map() // id -> what is shown in the tree
    this.samples = { lag: [], transactions: [], delay: [] }
    this.news = []
    this.status = null
    this.mempool = null
    this.isChecking = false
    this.isAway = false
    this.finalized = { height: 0, id: '' }
  }

  tell (what) {
    this.dispatchEvent(new Event(what))
  }

  async start () {
    await this.askAll()
    this.listen()
    // A browser has few connections to one place, and a page that nobody sees needs none.
    addEventListener('pagehide', () => this.source.close())
    document.addEventListener('visibilitychange', () => document.hidden ? this.source.close() : this.listen())
    setInterval(() => this.compareAll(), COMPARE_MS)
  }

  async askAll () {
    const [status, genesis, old] = await Promise.all([this.node.json('/status'), this.node.find('/genesis'), this.node.find(`/blocks?limit=${SHOWN_BLOCKS}`)])
    this.status = status
    this.finalized = { height: status.finalized_height, id: status.finalized_id }
    this.people.seat((genesis?.validators ?? []).map(({ did }) => did))
    for (const block of old?.blocks ?? []) this.put(block)
    await this.refresh()
    this.tell('status')
  }

  put (block) {
    const { id, height, slot, parent } = block
    if (height < 1) return
    const proposer = block.proposer ?? block.leader
    this.people.seat([proposer])
    const known = this.blocks.get(id)
    this.blocks.set(id, { ...known, ...block, id, height, slot, parent, proposer, main: block.status ? ['main', 'root'].includes(block.status) : block.main ?? true })
  }

  // The tree from the final block upward, which a reorg changes.
  async refresh () {
    this.isRefreshing = true
    try {
      const [tree, status] = await Promise.all([this.node.json('/tree?limit=400'), this.node.json('/status')])
      this.status = status
      for (const block of tree.blocks) this.put(block)
      await this.findMain(tree.head_id)
      this.noteFinal(tree.finalized_height, tree.finalized_id)
      this.trim()
      this.isAway = false
      await this.check()
    } catch (error) {
      this.isAway = true
      if (!error.body && error.status === undefined) throw error
    } finally {
      this.isRefreshing = false
    }
    this.tell('blocks')
  }

  // The main chain leads down from the head; after a reorg what it is made of may not have been heard of yet.
  async findMain (head) {
    for (let lowest = this.mark(head); lowest > Math.max(1, this.status.height - SHOWN_BLOCKS);) {
      const { blocks } = await this.node.json(`/blocks?from=${Math.max(1, lowest - SHOWN_BLOCKS)}&limit=${SHOWN_BLOCKS}`)
      for (const block of blocks) this.put(block)
      const reached = this.mark(head)
      if (reached >= lowest) return // it moved meanwhile: the next look finds it
      lowest = reached
    }
  }

  // Down to which height it is known.
  mark (head) {
    for (const block of this.blocks.values()) block.main = false
    let lowest = 0
    for (let block = this.blocks.get(head), above = Infinity; block?.height < above; block = this.blocks.get(block.parent)) {
      block.main = true
      lowest = above = block.height
    }
    return lowest
  }

  noteFinal (height, id) {
    if (height >= this.finalized.height) this.finalized = { height, id }
  }

  // What another node has, and this one has not: a branch of its own, for as long as they do not hear of each other.
  beside ({ blocks }) {
    for (const block of blocks) if (!this.blocks.has(block.id)) this.put({ ...block, status: 'side' })
  }

  trim () {
    const low = (this.status?.height ?? 0) - KEPT_BLOCKS
    for (const [id, { height }] of this.blocks) if (height < low || this.blocks.size > MOST_BLOCKS) this.blocks.delete(id)
  }

  // Many events at once are one look at the tree.
  soon () {
    if (this.timer) return
    this.timer = setTimeout(async () => {
      this.timer = null
      if (this.isRefreshing) return this.soon()
      await this.refresh()
    }, REFRESH_MS)
  }

  // -------------------------------------------------------------------------------------------------- checking

  async check () {
    if (this.isChecking || this.isHopeless) return
    this.isChecking = true
    // What the node said before its headers were read: what it says meanwhile may follow from some that were not.
    const { finalized_height: height, finalized_id: id } = this.status
    try {
      if (!this.follower) await this.begin()
      else await inspection.follow(this.follower, this.findings)
      if (this.follower?.votes && !this.isHopeless && height <= this.follower.votes.height) await inspection.claim(this.follower, this.findings, height, id)
    } catch (error) {
      if (error.status === undefined) throw error // else the node is away for the moment
    } finally {
      this.isChecking = false
      this.tell('trust')
    }
  }

  async begin () {
    const pinned = pinnedChain()
    const follower = new Follower(this.node, pinned)
    const hasBegun = await inspection.begin(follower, this.findings)
    this.isHopeless = !hasBegun && (!follower.genesis || this.findings.wrong.length > 0)
    if (hasBegun) {
      this.follower = follower
      this.people.seat(follower.votes.electorate.current.weights.map(([key]) => didOf(unhex(key))))
      pinChain(follower.chainId)
    }
  }

  // Shares of what a block needs, by the votes that were counted here; else null.
  votesOf ({ id, height }) {
    const row = this.follower?.votes?.row(height)
    if (!row || row.id !== id) return null
    const share = (kind) => Math.min(...row[kind].map((weight, at) => weight / row.electorate.sets[at].threshold))
    return [share('prevotes'), share('precommits')]
  }

  async compareAll () {
    await Promise.all(this.others.map((other) => this.compare(other)))
    if (this.others.length) {
      this.tell('others')
      this.tell('blocks')
    }
  }

  async compare (other) {
    try {
      other.status = await other.node.json('/status')
      other.peers = (await other.node.find('/peers'))?.peers ?? []
      other.isAway = false
      this.beside(await other.node.json('/tree?limit=100'))
      if (this.follower && !this.isHopeless) await inspection.compare(this.follower, this.findings, other.node, other.url)
    } catch (error) {
      if (error.status === undefined) throw error
      other.isAway = true
    }
  }

  // ---------------------------------------------------------------------------------------------------- events

  listen () {
    this.source?.close()
    const source = this.source = new EventSource('/events')
    const on = (name, act) => source.addEventListener(name, ({ data }) => act(JSON.parse(data)))
    on('head', (event) => this.onHead(event))
    on('final', (event) => this.onFinal(event))
    on('reorg', ({ depth, height, at_ms: at }) => this.add(at, `The head moved to another branch at height ${count(height)}: ${count(depth)} ${depth === 1 ? 'block was' : 'blocks were'} left.`, 'reorg'))
    on('evidence', ({ validator, height }) => this.add(Date.now(), `${this.people.text(validator)} signed two things that contradict each other, at height ${count(height)}.`, 'evidence'))
    on('mempool', (event) => { this.mempool = event; this.tell('mempool') })
    on('peers', ({ connected }) => { if (this.status) this.status.peers = connected; this.tell('status') })
    on('lost', () => this.soon())
    on('hello', () => this.soon())
    source.onerror = () => {
      this.isAway = true
      this.tell('status')
      if (source.readyState === EventSource.CLOSED && !document.hidden) setTimeout(() => this.listen(), RETRY_MS)
    }
  }

  onHead (event) {
    this.put({ ...event, main: true })
    this.sample('transactions', event.transactions)
    if (!event.made_here && Number.isFinite(event.delay_ms)) this.sample('delay', event.delay_ms)
    if (this.status) Object.assign(this.status, { height: event.height, head_id: event.id })
    this.soon()
  }

  onFinal ({ id, height, slot, at_ms: at }) {
    this.noteFinal(height, id)
    const { genesis_time_ms: start, slot_ms: each } = this.status ?? {}
    if (Number.isFinite(start)) this.sample('lag', Math.max(0, at - (start + slot * each)))
    this.soon()
  }

  sample (what, value) {
    this.samples[what].push(value)
    if (this.samples[what].length > KEPT_SAMPLES) this.samples[what].shift()
  }

  add (at, text, kind) {
    this.news.unshift({ at, text, kind })
    this.news.length = Math.min(this.news.length, KEPT_NEWS)
    this.tell('news')
  }

  shown () {
    const low = this.status.height - SHOWN_BLOCKS
    const final = Math.max(this.finalized.height, this.isHopeless ? 0 : this.follower?.final ?? 0)
    return [...this.blocks.values()].filter(({ height }) => height > low).map((block) => ({
      ...block, final: block.main && block.height <= final, votes: this.votesOf(block)
    }))
  }
}

// The chain that this address had when it was first looked at: another one under the same address is said.
const PIN = 'goodfaith-chain'

function pinnedChain () {
  const asked = new URLSearchParams(location.search).get('chain')
  return /^[0-9a-f]{64}$/.test(asked ?? '') ? asked : sessionStorage.getItem(PIN)
}

const pinChain = (id) => sessionStorage.setItem(PIN, id)
