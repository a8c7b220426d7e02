// Prevotes, precommits and finality, counted from headers and what they carry (protocol 2.4, 2.5, 3.1 to 3.4).

import { check, hex, join, unhex, utf8 } from './bytes.js'
import { encode } from './codec.js'
import { sha256 } from './sha256.js'

const ROUNDS = 3
const CARRIED_PER_SPEAKER = 4

// The votes on one branch as of its tip.  `rows` are the last blocks, newest first; nothing in one is changed once it is
// there, so that the votes before a block stay true for every other branch.
export class Votes {
  constructor (fields) {
    Object.assign(this, fields)
  }

  // Nothing said yet after the final block at `height`; or, where blind, nothing that is known.
  static start (electorate, batch, height, blind = false) {
    const voters = new Map([...electorate.voters].map((key) => [key, { least: height + 1, precommit: height }]))
    return new Votes({ batch, base: height, blind: blind ? height : 0, rows: [], electorate, voters, spoke: new Set(), mhp: height, final: height })
  }

  get height () {
    return this.rows.length ? this.rows[0].height : this.base
  }

  row (height) {
    return this.rows[this.height - height]
  }
}

// The votes after a header with its ballot, from those after its parent.  Signatures are collected, not awaited.
export function judge ({ header, ballot }, before, chainId, signatures) {
  const votes = restarted(before, ballot.restart, header.parent, chainId, signatures)
  checkLeader(header, votes)
  const most = CARRIED_PER_SPEAKER * votes.electorate.speakers.size
  check(ballot.attestations.length <= most, 'too many attestations')
  const count = new Count(votes, header.height)
  for (const carried of ballot.attestations) if (carried.height > votes.blind) count.take(carried, chainId, signatures)
  const mhp = count.carriedAll()
  if (mhp === votes.blind && header.mhp < votes.blind) count.believe(header.mhp)
  else check(header.mhp === mhp, `the header at height ${header.height} says that ${header.mhp} is prevoted, and ${mhp} is`)
  count.say(header.signer, header.height, header.mhg)
  return count.close(header.id, ballot.decision)
}

function checkLeader (header, votes) {
  const { electorate } = votes
  const tag = electorate.tag(header.signer)
  check(header.signer === electorate.leader(header.slot), `slot ${header.slot} is another validator's to lead`)
  check(!electorate.barred.includes(header.signer), `the validator that made height ${header.height} is jailed`)
  check(header.tag === tag.tag && tag.height <= votes.final, `the header at height ${header.height} is from a lost signing state`)
}

function restarted (votes, restart, tip, chainId, signatures) {
  if (!restart) return votes
  check(restart.tip === tip && restart.height === votes.height, 'a restart from another block')
  const message = join(utf8('goodfaith/restart/1'), unhex(chainId), encode([1, unhex(restart.tip), restart.height, restart.salt]))
  for (const [key, signature] of restart.signatures) signatures.add(unhex(key), message, signature, 'a restart is not signed by whom it names')
  const { electorate } = votes
  const signers = new Set(restart.signatures.map(([key]) => key))
  check(signers.size === restart.signatures.length && electorate.isEnough(signers), 'a restart that too few signed')
  const tags = new Map(electorate.tags)
  for (const key of electorate.speakers) {
    const tag = sha256(utf8('goodfaith/restart-tag/1'), restart.salt, unhex(key)).subarray(0, 16)
    tags.set(key, { tag: hex(tag), height: votes.height })
  }
  return Votes.start(electorate.with({ phase: null, tags }), votes.batch, votes.height)
}

class Count {
  constructor (votes, height) {
    check(height === votes.height + 1, `height ${height} after ${votes.height}`)
    this.votes = votes
    this.height = height
    this.electorate = votes.electorate
    this.voters = new Map(votes.voters)
    this.spoke = new Set(votes.spoke)
    const kept = votes.rows.slice(0, ROUNDS * votes.batch - 1)
    this.bottom = kept.length ? kept[kept.length - 1].height : height
    const none = this.electorate.sets.map(() => 0)
    this.rows = [{ height, id: '', mhp: 0, final: 0, electorate: this.electorate, said: new Map(), prevotes: none, precommits: none }, ...kept]
    this.mhp = votes.mhp
    this.final = votes.final
  }

  row (height) {
    return this.rows[this.height - height]
  }

  put (row) {
    this.rows[this.height - row.height] = row
  }

  take ({ height, speaker, mhg, signature }, chainId, signatures) {
    check(height > Math.max(this.votes.final, this.bottom - 1) && height < this.height, `an attestation of height ${height} comes too late`)
    const row = this.row(height)
    const tag = this.row(height + 1).electorate.tag(speaker)
    const now = this.electorate.tag(speaker)
    check(row.electorate.speakers.has(speaker), 'an attestation by one who has no say')
    check(tag.tag === now.tag && tag.height === now.height && tag.height <= row.final, 'an attestation from a lost signing state')
    check(!row.said.has(speaker), 'an attestation by one who has spoken there')
    check(mhg < height, 'an attestation of what its speaker voted against')
    const payload = encode([1, unhex(speaker), unhex(tag.tag), unhex(row.id), height, mhg, row.mhp])
    const message = join(utf8('goodfaith/attestation/1'), unhex(chainId), payload)
    signatures.add(unhex(speaker), message, signature, `an attestation of height ${height} is not signed by whom it names`)
    this.say(speaker, height, mhg)
  }

  carriedAll () {
    this.mhp = this.highest(this.mhp, 'prevotes')
    this.believe(this.mhp)
    return this.mhp
  }

  believe (mhp) {
    this.put({ ...this.row(this.height), mhp })
  }

  // A statement precommits first what was prevoted before it, and then prevotes.
  say (speaker, height, mhg) {
    const row = this.row(height)
    this.checkHonest(speaker, { height, mhg, mhp: row.mhp })
    if (this.electorate.phase && height >= this.electorate.phase.since) this.spoke.add(speaker)
    this.put({ ...row, said: new Map(row.said).set(speaker, mhg) })
    if (mhg >= height || !row.electorate.voters.has(speaker)) return
    const voter = this.voters.get(speaker)
    let lowest = Math.max(this.bottom, voter.least, voter.precommit + 1)
    lowest = Math.max(lowest, this.notPrevoted(speaker, mhg, lowest) + 1)
    const reached = []
    for (let at = row.mhp; at >= lowest; at--) {
      if (!isEnough(this.row(at), 'prevotes')) continue
      this.add(at, 'precommits', speaker)
      reached.push(at)
    }
    if (reached.length) this.voters.set(speaker, { least: voter.least, precommit: reached[0] })
    for (let at = Math.max(this.bottom, voter.least, mhg + 1); at <= height; at++) this.add(at, 'prevotes', speaker)
  }

  add (height, kind, speaker) {
    const row = this.row(height)
    this.put({ ...row, [kind]: row[kind].map((sum, at) => sum + (row.electorate.sets[at].byKey.get(speaker) ?? 0)) })
  }

  // The largest height that a speaker did not vote for, as its chain of `mhg` says.
  notPrevoted (speaker, mhg, lowest) {
    let previous = mhg
    while (previous >= lowest) {
      const earlier = this.row(previous).said.get(speaker)
      if (earlier === undefined || earlier >= previous) return previous
      previous = earlier
    }
    return previous
  }

  // What it says must not contradict the nearest statements that it made below and above, which is enough.
  checkHonest (speaker, said) {
    for (const step of [-1, 1]) {
      for (let at = said.height + step; at >= this.bottom && at <= this.height; at += step) {
        const row = this.row(at)
        if (!row.said.has(speaker)) continue
        const isHonest = !contradicting({ height: at, mhg: row.said.get(speaker), mhp: row.mhp }, said)
        check(isHonest, `what a validator says at height ${said.height} contradicts what it said at ${at}`)
        break
      }
    }
  }

  highest (reached, kind) {
    return this.rows.find((row) => row.height <= reached || isEnough(row, kind))?.height ?? reached
  }

  close (id, decision) {
    this.mhp = Math.max(this.mhp, this.highest(this.mhp, 'prevotes'))
    this.final = Math.max(this.final, this.highest(this.final, 'precommits'))
    this.put({ ...this.row(this.height), id, final: this.final })
    const electorate = this.electorate.after(this.height, this.final, this.spoke, decision)
    const isGateOpen = electorate.phase && electorate.phase === this.electorate.phase
    const { batch, base, blind } = this.votes
    return new Votes({
      batch, base, blind, rows: this.rows, electorate, voters: this.votersOf(electorate),
      spoke: isGateOpen ? this.spoke : new Set(), mhp: this.mhp, final: this.final
    })
  }

  votersOf (electorate) {
    if (electorate.sets.length === this.electorate.sets.length && electorate.sets.every((each, at) => each === this.electorate.sets[at])) return this.voters
    const known = new Set(this.rows.flatMap((row) => [...row.electorate.voters]))
    const voters = new Map([...this.voters].filter(([key]) => known.has(key)))
    for (const key of electorate.voters) {
      if (!this.electorate.voters.has(key)) voters.set(key, { least: this.height + 1, precommit: this.height })
    }
    return voters
  }
}

const isEnough = (row, kind) => row[kind].every((weight, at) => weight >= row.electorate.sets[at].threshold)

// Whether two statements of one validator prove that it broke the rules (protocol 3.4).
export function contradicting (one, other) {
  const order = one.mhg - other.mhg || one.mhp - other.mhp || one.height - other.height
  const [first, second] = order > 0 ? [other, one] : [one, other]
  return (first.mhp === second.mhp && first.height >= second.height) || first.height > second.mhg || first.mhp > second.mhp
}
