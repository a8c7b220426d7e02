// Follows a chain from its genesis without trusting who tells it: leaders, signatures and votes are checked and counted
// here, header by header, and finality is what they add up to.

import { Wrong, check, hex, keyOf, unhex } from './bytes.js'
import { readHeading } from './blocks.js'
import { firstElectorate, genesisId } from './genesis.js'
import { Pace } from './pace.js'
import { checkFollows, checkProof } from './proof.js'
import { Signatures } from './signatures.js'
import { judge, Votes } from './votes.js'

const HEADERS_AT_ONCE = 100
const MAX_BRANCH = 1_000 // headers that are kept, for a branch that comes back

export class Follower {
  // `api.json(path)` and `api.bytes(path)` ask the node; `chainId` is pinned, or null to take that of the first genesis.
  constructor (api, chainId = null) {
    Object.assign(this, { api, chainId })
    this.branch = [] // { header, votes }, oldest first
    this.finals = new Map() // height -> id of what was found final
    this.checked = 0
  }

  get tip () {
    return this.branch[this.branch.length - 1]
  }

  get votes () {
    return this.tip?.votes ?? this.origin
  }

  get final () {
    return this.votes?.final ?? 0
  }

  // Begins at the last final header that a proof leads to from the genesis, or else at the genesis.
  async start () {
    const genesis = await this.api.json('/genesis')
    const id = genesisId(genesis)
    check(this.chainId === null || id === this.chainId, 'the genesis is another than that of this chain')
    Object.assign(this, { genesis, chainId: id })
    this.origin = Votes.start(firstElectorate(genesis), genesis.batch, 0)
    const proof = await this.proofOf(hex(keyOf(genesis.validators[0].did))).catch(unlessWrong)
    if (proof) this.begin(proof)
  }

  begin ({ header, votes, run }) {
    this.branch = run
    this.finals.set(header.height, header.id)
    this.noteFinal(votes)
  }

  // A checked proof about a key; raises Wrong for one that is none, and what the node says where it has none yet.
  async proofOf (key) {
    const signatures = new Signatures()
    const file = await this.api.bytes(`/proof/${key}`)
    const proof = await checkProof(file, this.genesis, this.chainId, unhex(key), signatures)
    await signatures.settle()
    this.checked += signatures.count
    const known = this.finals.get(proof.header.height)
    check(!known || known === proof.header.id, `two blocks of height ${proof.header.height} are final`)
    return proof
  }

  // Reads on up to the node's head, and says whether there was anything new.
  async advance () {
    let from = Math.max(1, this.votes.height) // that one again, to see whether it still is on the node's chain
    let isNew = false
    for (;;) {
      const { headers } = await this.api.json(`/headers?from=${from}&limit=${HEADERS_AT_ONCE}`)
      const floor = Math.max(this.final, this.lowest)
      // A node that left a branch may come to a lower head: nothing at our height is no reason to stay on it.
      if (!headers.length && (from > this.votes.height || from <= floor)) return isNew
      const joined = headers.length ? this.joined(headers) : null
      if (!joined) {
        check(from > this.final, `the node left the block that is final at height ${this.final}`)
        from = Math.max(floor, from - 10)
        continue
      }
      const grew = await this.take(joined)
      isNew ||= grew
      from = this.votes.height + 1
      if (headers.length < HEADERS_AT_ONCE) return isNew
    }
  }

  get lowest () {
    return this.branch.length ? this.branch[0].header.height : 1
  }

  // What of these headers is new on the branch, and where it begins; null where they do not join it.
  joined (headers) {
    const at = headers.findIndex(({ height, id }) => this.at(height)?.header.id !== id)
    if (at < 0) return { before: this.votes.height, fresh: [] }
    const before = headers[at].height - 1
    const parent = this.at(before)
    const isFirst = before === 0 && this.lowest === 1
    if (!parent && !isFirst) return null
    const told = unhex(headers[at].header)
    if (parent && at === 0 && !readsParent(told, parent.header.id)) return null
    return { before, fresh: headers.slice(at) }
  }

  at (height) {
    return this.branch[height - this.lowest]
  }

  async take ({ before, fresh }) {
    if (!fresh.length) return false
    const [signatures, pace] = [new Signatures(), new Pace()]
    const branch = this.branch.filter(({ header }) => header.height <= before)
    let { header: parent, votes } = branch[branch.length - 1] ?? { header: null, votes: this.origin }
    for (const { id, header, ballot } of fresh) {
      const heading = readHeading(unhex(header), unhex(ballot), this.chainId, signatures)
      check(heading.header.id === id, `the block at height ${heading.header.height} has another id than is said`)
      if (parent) checkFollows(heading.header, parent)
      else check(heading.header.parent === this.chainId && heading.header.height === 1, 'the first block does not follow from the genesis')
      votes = judge(heading, votes, this.chainId, signatures)
      parent = heading.header
      branch.push({ header: parent, votes })
      await pace.step()
    }
    await signatures.settle()
    this.checked += signatures.count
    this.branch = branch
    this.noteFinal(votes)
    this.branch = branch.slice(-MAX_BRANCH)
    return true
  }

  // No two blocks of one height are ever final.
  noteFinal (votes) {
    for (const { header } of this.branch) {
      if (header.height > votes.final) break
      const known = this.finals.get(header.height)
      check(!known || known === header.id, `two blocks of height ${header.height} are final`)
      this.finals.set(header.height, header.id)
    }
    while (this.finals.size > MAX_BRANCH) this.finals.delete(this.finals.keys().next().value)
  }

  // Whether a node may call a block final: it has to follow from the votes that are in its chain.
  checkClaim (height, id) {
    check(height <= this.final, `the node calls height ${height} final, and the votes make final what is up to ${this.final}`)
    const known = this.finals.get(height)
    check(!known || known === id, `the node calls another block of height ${height} final than the votes do`)
  }
}

function readsParent (raw, parent) {
  return hex(raw).includes(parent)
}

// A node that has no proof yet is no liar.
export function unlessWrong (error) {
  if (error instanceof Wrong) throw error
  return null
}
