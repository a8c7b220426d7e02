// Prevotes, precommits and finality, counted from the headers and ballots of one branch (protocol 2.4, 2.5, 3).

import { check, concat, fromHex, hex, same, utf8 } from './bytes.js'
import { Electorate } from './electorate.js'
import { encode } from './encoding.js'
import { isSigned, sha256 } from './hashing.js'

const ROUNDS = 3
const CARRIED_PER_SPEAKER = 4

// Counts the blocks after the height `base`, where `electorate` is in force. Up to the height `blind` nothing is known of
// what was said. Once something was refused, nothing more can be counted.
export class Votes {
  constructor (electorate, batch, chainId, base = 0, blind = base) {
    this.window = ROUNDS * batch
    this.chainId = chainId
    this.blind = blind
    this.begin(electorate, base)
  }

  begin (electorate, base) {
    this.rows = new Map()
    this.electorate = electorate
    this.voters = new Map([...electorate.voters].map((key) => [key, { from: base + 1, precommitted: base }]))
    this.spoke = new Set()
    this.base = this.height = this.mhp = this.final = base
    this.tip = null
  }

  async take ({ header, ballot }) {
    check(header.height === this.height + 1, 'headers follow each other')
    check(this.tip === null || (same(header.parent, this.tip.id) && header.slot > this.tip.slot), 'a header follows from another one')
    if (ballot.restart !== null) await this.restart(header.parent, ballot.restart)
    const electorate = this.electorate
    this.checkLeader(header)
    check(ballot.carried.length <= CARRIED_PER_SPEAKER * electorate.speakers.size, 'too many attestations')
    this.height = header.height
    this.bottom = Math.max(this.base + 1, this.height - this.window + 1)
    this.rows.delete(this.bottom - 1)
    const none = () => electorate.sets.map(() => 0)
    const row = { id: header.id, mhp: 0, final: 0, electorate, said: new Map(), prevotes: none(), precommits: none() }
    this.rows.set(this.height, row)
    for (const each of ballot.carried) if (each.height > this.blind) await this.attest(each)
    this.mhp = this.highest(this.mhp, 'prevotes')
    const isUnknown = this.mhp === this.blind && header.mhp < this.blind
    check(isUnknown || header.mhp === this.mhp, `mhp ${header.mhp} where the branch has ${this.mhp}`)
    row.mhp = header.mhp
    this.speak(hex(header.signer), this.height, header.mhg)
    this.close(header, ballot.decision)
  }

  checkLeader ({ slot, signer, tag }) {
    const key = hex(signer)
    const known = this.electorate.tag(key)
    check(this.electorate.leader(slot) === key, 'its proposer does not lead its slot')
    check(!this.electorate.barred.includes(key), 'its proposer is jailed')
    check(known.tag === hex(tag) && known.height <= this.final, 'its proposer speaks from another signing state')
  }

  // Two thirds agree, outside the chain, to go on from its tip (protocol 3.7).
  async restart (parent, { tip, height, salt, signatures }) {
    check(same(tip, parent) && height === this.height, 'a restart from another block')
    const message = concat(utf8('goodfaith/restart/1'), this.chainId, encode([1, tip, height, salt]))
    for (const [key, signature] of signatures) check(await isSigned(key, message, signature), 'a restart is not signed')
    const { start, current, barred, tags, speakers } = this.electorate
    check(this.electorate.isEnough(signatures.map(([key]) => hex(key))), 'a restart that too few signed')
    const renewed = new Map(tags)
    for (const key of speakers) {
      const digest = await sha256(utf8('goodfaith/restart-tag/1'), salt, fromHex(key))
      renewed.set(key, { tag: hex(digest.subarray(0, 16)), height })
    }
    const slot = this.tip?.slot ?? 0
    this.blind = 0
    this.begin(new Electorate(start, current, null, barred, renewed), height)
    this.tip = { id: tip, slot }
  }

  async attest ({ height, speaker, mhg, signature }) {
    const key = hex(speaker)
    const row = this.rows.get(height)
    check(row && height < this.height && height > this.final && mhg < height, 'an attestation that cannot be carried')
    const { tag, height: since } = this.rows.get(height + 1).electorate.tag(key)
    const now = this.electorate.tag(key)
    check(row.electorate.speakers.has(key) && !row.said.has(key), 'an attestation of who has no say, or spoke')
    check(tag === now.tag && since === now.height && since <= row.final, 'an attestation from another signing state')
    const payload = encode([1, speaker, fromHex(tag), row.id, height, mhg, row.mhp])
    check(await isSigned(speaker, concat(utf8('goodfaith/attestation/1'), this.chainId, payload), signature), 'an attestation is not signed')
    this.speak(key, height, mhg)
  }

  speak (key, height, mhg) {
    const said = this.rows.get(height)
    this.checkContradiction(key, { height, mhg, mhp: said.mhp })
    if (height >= (this.electorate.phase?.since ?? this.height + 1)) this.spoke.add(key)
    said.said.set(key, mhg)
    if (mhg >= height || !said.electorate.voters.has(key)) return
    const voter = this.voters.get(key)
    let lowest = Math.max(this.bottom, voter.from, voter.precommitted + 1)
    lowest = Math.max(lowest, this.notPrevoted(key, mhg, lowest) + 1)
    let first = true
    for (let at = said.mhp; at >= lowest; at--) {
      const row = this.rows.get(at)
      if (!isEnough(row, 'prevotes')) continue
      add(row, 'precommits', key)
      if (first) this.voters.set(key, { ...voter, precommitted: at })
      first = false
    }
    for (let at = Math.max(this.bottom, voter.from, mhg + 1); at <= height; at++) add(this.rows.get(at), 'prevotes', key)
  }

  // It is enough to look at what a speaker said right below and right above.
  checkContradiction (key, said) {
    const find = (from, step) => {
      for (let at = from; this.rows.has(at); at += step) {
        const row = this.rows.get(at)
        if (row.said.has(key)) return { height: at, mhg: row.said.get(key), mhp: row.mhp }
      }
      return null
    }
    for (const other of [find(said.height - 1, -1), find(said.height + 1, 1)]) {
      check(other === null || !isContradicting(other, said), 'it contradicts what its signer said')
    }
  }

  notPrevoted (key, mhg, lowest) {
    let previous = mhg
    while (previous >= lowest) {
      const earlier = this.rows.get(previous)?.said.get(key)
      if (earlier === undefined || earlier >= previous) return previous
      previous = earlier
    }
    return previous
  }

  close (header, decision) {
    this.mhp = this.highest(this.mhp, 'prevotes')
    this.final = this.highest(this.final, 'precommits')
    this.rows.get(this.height).final = this.final
    this.tip = { id: header.id, slot: header.slot }
    const before = this.electorate
    this.electorate = before.after(this.height, this.final, this.spoke, decision)
    if (this.electorate.phase === null || this.electorate.phase !== before.phase) this.spoke = new Set()
    if (this.electorate.sets.length !== before.sets.length || this.electorate.current !== before.current) this.enter(before)
  }

  // Who enters votes for nothing below the next height; who left keeps its votes as long as there are blocks to attest.
  enter (before) {
    const known = new Set([...this.rows.values()].flatMap((row) => [...row.electorate.voters]))
    for (const key of this.voters.keys()) if (!known.has(key)) this.voters.delete(key)
    for (const key of this.electorate.voters) {
      if (!before.voters.has(key)) this.voters.set(key, { from: this.height + 1, precommitted: this.height })
    }
  }

  highest (reached, votes) {
    for (let at = this.height; at > reached && at >= this.bottom; at--) if (isEnough(this.rows.get(at), votes)) return at
    return reached
  }
}

const isEnough = (row, votes) => row.electorate.sets.every((each, at) => row[votes][at] >= each.threshold)

function add (row, votes, key) {
  row.electorate.sets.forEach((each, at) => { row[votes][at] += each.weightOf(key) })
}

// Protocol 3.4, of two statements of one speaker.
export function isContradicting (one, other) {
  const order = (said) => [said.mhg, said.mhp, said.height]
  const [a, b] = [order(one), order(other)]
  const at = a.findIndex((value, index) => value !== b[index])
  const [first, second] = at >= 0 && a[at] > b[at] ? [other, one] : [one, other]
  return (first.mhp === second.mhp && first.height >= second.height) || first.height > second.mhg || first.mhp > second.mhp
}
