// What a chain says and how that is checked, written from scripts/docs/protocol.md and wire.md alone.

import { createHash, createPublicKey, verify } from 'node:crypto'
import { decode, encode } from './encoding.js'

const SIGNATURE_BYTES = 64
const BUCKET_BYTES = 8 * 64

export function sha256 (...parts) {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

export function isSigned (key, message, signature) {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(key).toString('base64url') }
  return verify(null, message, createPublicKey({ key: jwk, format: 'jwk' }), signature)
}

export function check (condition, what) {
  if (!condition) throw new Error(what)
}

const same = (one, other) => Buffer.compare(one, other) === 0
const hex = (bytes) => Buffer.from(bytes).toString('hex')

// ---------------------------------------------------------------------------------- what is signed (protocol 1.3)

function signed (raw, tag, chainId, read) {
  const payload = raw.subarray(0, -SIGNATURE_BYTES)
  const item = { raw, id: sha256(raw), ...read(decode(payload)) }
  check(isSigned(item.signer, Buffer.concat([Buffer.from(tag), chainId, payload]), raw.subarray(-SIGNATURE_BYTES)), `${tag} is not signed`)
  return item
}

export function readHeader (raw, chainId) {
  return signed(raw, 'goodfaith/block/1', chainId, (fields) => {
    const [version, height, slot, parent, signer, tag, mhg, mhp, votesRoot, transactionRoot, stateRoot] = fields
    check(fields.length === 11 && version === 2n, 'a header has eleven fields, of which the first is 2')
    return { height: Number(height), slot: Number(slot), parent, signer, tag, mhg: Number(mhg), mhp: Number(mhp), votesRoot, transactionRoot, stateRoot }
  })
}

export function readTransaction (raw, chainId) {
  return signed(raw, 'goodfaith/transaction/1', chainId, ([kind, signer, nonce, expiry, body]) => ({ kind, signer, nonce, expiry, body }))
}

export function readAttestation (raw, chainId) {
  return signed(raw, 'goodfaith/attestation/1', chainId, ([version, signer, tag, tip, height, mhg, mhp]) => {
    check(version === 1n, 'an attestation begins with 1')
    return { signer, tag, tip, height: Number(height), mhg: Number(mhg), mhp: Number(mhp) }
  })
}

// --------------------------------------------------------------------------------------------- blocks (protocol 2)

export function merkleRoot (ids) {
  if (ids.length === 0) return sha256(Buffer.alloc(0))
  if (ids.length === 1) return sha256(Buffer.from([0]), ids[0])
  let split = 1
  while (2 * split < ids.length) split *= 2
  return sha256(Buffer.from([1]), merkleRoot(ids.slice(0, split)), merkleRoot(ids.slice(split)))
}

export function readBallot (raw) {
  const [attestations, decision, restarts] = decode(raw)
  const carried = attestations.map(([height, speaker, mhg, signature]) => ({ height: Number(height), speaker, mhg: Number(mhg), signature }))
  const [following, barred, tags] = decision
  return { carried, isPlain: !following.length && !barred.length && !tags.length && !restarts.length }
}

export function readHeading (header, ballot, chainId) {
  const read = readHeader(header, chainId)
  check(same(sha256(ballot), read.votesRoot), 'the header commits to another ballot')
  return { header: read, ballot: readBallot(ballot) }
}

export function readBlock (raw, chainId) {
  const [header, ballot, body] = decode(raw)
  const heading = readHeading(header, ballot, chainId)
  const transactions = body.map((item) => readTransaction(item, chainId))
  check(same(merkleRoot(transactions.map((item) => item.id)), heading.header.transactionRoot), 'the header commits to other transactions')
  return { ...heading, transactions }
}

export function readAnnouncement (raw, chainId) {
  const [header, ballot, joined] = decode(raw)
  check(joined.length % 32 === 0, 'ids have 32 bytes')
  const ids = Array.from({ length: joined.length / 32 }, (_, at) => joined.subarray(32 * at, 32 * at + 32))
  const heading = readHeading(header, ballot, chainId)
  check(same(merkleRoot(ids), heading.header.transactionRoot), 'the header commits to other transactions')
  return { ...heading, ids }
}

// -------------------------------------------------------------------------------------- the state (protocol 1.5)

export function isShown (root, key, value, path) {
  const [count, bucket, siblings] = decode(path)
  const keyHash = sha256(key)
  const bit = (hash, depth) => (hash[depth >> 3] >> (7 - (depth & 7))) & 1
  check(bucket.length <= BUCKET_BYTES && bucket.length % 64 === 0 && siblings.length <= 256, 'not a path')
  let found = null
  let before = null
  for (let at = 0; at < bucket.length; at += 64) {
    const entryKey = bucket.subarray(at, at + 32)
    for (let depth = 0; depth < siblings.length; depth++) check(bit(entryKey, depth) === bit(keyHash, depth), 'an entry of another bucket')
    check(before === null || Buffer.compare(before, entryKey) < 0, 'entries that do not ascend')
    if (same(entryKey, keyHash)) found = bucket.subarray(at + 32, at + 64)
    before = entryKey
  }
  check(siblings.length ? count > 8n : Number(count) === bucket.length / 64, 'a tree of that size has no such bucket')
  if (value === null ? found !== null : found === null || !same(found, sha256(value))) return false
  let node = bucket.length ? sha256(Buffer.from([0]), bucket) : Buffer.alloc(32)
  for (let depth = siblings.length - 1; depth >= 0; depth--) {
    const [left, right] = bit(keyHash, depth) ? [siblings[depth], node] : [node, siblings[depth]]
    node = sha256(Buffer.from([1]), left, right)
  }
  const size = Buffer.alloc(8)
  size.writeBigUInt64BE(count)
  return same(sha256(Buffer.from([2]), size, node), root)
}

// ---------------------------------------------------------------------------- votes and finality (protocol 3.1–3.3)

// Of one set of validators that does not change: rows of what was said at each height above `base`.  Of what was said up
// to there nothing is known, and nothing is counted.
export class Votes {
  constructor (validators, batch, chainId, base = 0) {
    this.weights = new Map(validators.map(([key, weight]) => [hex(key), Number(weight)]))
    this.leaders = validators.filter(([, weight]) => weight).map(([key]) => key)
    this.threshold = Math.floor(2 * [...this.weights.values()].reduce((sum, weight) => sum + weight, 0) / 3) + 1
    this.window = 3 * batch
    this.chainId = chainId
    this.rows = new Map()
    this.precommitted = new Map()
    this.base = this.height = this.mhp = this.final = base
  }

  take ({ header, ballot }) {
    check(header.height === this.height + 1, 'headers follow each other')
    check(ballot.isPlain, 'this reader does not follow changes of the validators')
    check(same(this.leaders[header.slot % this.leaders.length], header.signer), 'its proposer does not lead its slot')
    this.height = header.height
    this.bottom = Math.max(this.base + 1, this.height - this.window + 1)
    const row = { id: header.id, mhp: 0, said: new Map(), prevotes: 0, precommits: 0 }
    this.rows.set(this.height, row)
    for (const { height, speaker, mhg, signature } of ballot.carried) {
      if (height > this.base) this.attest(height, speaker, mhg, signature)
    }
    this.mhp = this.highest(this.mhp, 'prevotes')
    const isUnknown = this.mhp === this.base && header.mhp < this.base
    check(isUnknown || header.mhp === this.mhp, `mhp ${header.mhp} where the branch has ${this.mhp}`)
    row.mhp = header.mhp
    this.speak(header.signer, this.height, header.mhg)
    this.mhp = this.highest(this.mhp, 'prevotes')
    this.final = this.highest(this.final, 'precommits')
  }

  attest (height, speaker, mhg, signature) {
    const row = this.rows.get(height)
    check(row && height < this.height && height > this.final && this.weights.has(hex(speaker)) && !row.said.has(hex(speaker)), 'an attestation that cannot be carried')
    const payload = encode([1, speaker, Buffer.alloc(16), row.id, height, mhg, row.mhp])
    check(isSigned(speaker, Buffer.concat([Buffer.from('goodfaith/attestation/1'), this.chainId, payload]), signature), 'an attestation is not signed')
    this.speak(speaker, height, mhg)
  }

  speak (key, height, mhg) {
    const speaker = hex(key)
    const weight = this.weights.get(speaker)
    const said = this.rows.get(height)
    said.said.set(speaker, mhg)
    if (mhg >= height) return
    const done = this.precommitted.get(speaker) ?? this.base
    let lowest = Math.max(this.bottom, done + 1)
    lowest = Math.max(lowest, this.notPrevoted(speaker, mhg, lowest) + 1)
    let first = true
    for (let at = Math.min(height, said.mhp); at >= lowest; at--) {
      const row = this.rows.get(at)
      if (row.prevotes < this.threshold) continue
      row.precommits += weight
      if (first) this.precommitted.set(speaker, at)
      first = false
    }
    for (let at = Math.max(this.bottom, mhg + 1); at <= height; at++) this.rows.get(at).prevotes += weight
  }

  notPrevoted (speaker, mhg, lowest) {
    let previous = mhg
    while (previous >= lowest) {
      const earlier = this.rows.get(previous)?.said.get(speaker)
      if (earlier === undefined || earlier >= previous) return previous
      previous = earlier
    }
    return previous
  }

  highest (reached, votes) {
    for (let at = this.height; at > reached && at >= this.bottom; at--) if (this.rows.get(at)[votes] >= this.threshold) return at
    return reached
  }
}

// ------------------------------------------------------------------------------- a proof (protocol 3.5), from genesis

export function genesisId (genesis, policyDigest) {
  const numbers = [genesis.genesis_time_ms, genesis.slot_ms, genesis.batch, genesis.heartbeat_slots, genesis.max_expiry_blocks]
  return sha256(Buffer.from('goodfaith/genesis/1'), encode([1, Buffer.from(genesis.name), numbers, validatorsOf(genesis), policyDigest]))
}

export function keyOf (did) {
  const letters = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  let number = 0n
  for (const letter of did.slice('did:key:z'.length)) number = number * 58n + BigInt(letters.indexOf(letter))
  const bytes = Buffer.from(number.toString(16).padStart(68, '0'), 'hex')
  check(bytes[0] === 0xed && bytes[1] === 0x01, 'not the did:key of an Ed25519 key')
  return bytes.subarray(2)
}

// What it shows, where the validators are those of the genesis.
export function checkProof (file, genesis, chainId, wanted) {
  const [format, id, key, height, runs, entries] = decode(file)
  check(format === 2n && same(id, chainId) && same(key, wanted), 'a proof about something else')
  check(runs.length === 1, 'this reader does not follow changes of the validators')
  const final = finalHeader(runs[0], genesis, chainId, Number(height))
  const state = new Map()
  for (const [at, isThere, value, path] of entries) {
    check(isShown(final.stateRoot, at, isThere ? value : null, path), `the entry ${hex(at)} is not under the state root`)
    state.set(hex(at), isThere ? decode(value) : null)
  }
  checkState(genesis, chainId, state)
  const account = state.get(entryKey('n', wanted))
  return { height: final.height, headId: hex(final.id), stateRoot: hex(final.stateRoot), nonce: account ? Number(account[0]) : null, isMember: !!state.get(entryKey('m', wanted)) }
}

function finalHeader ([headers, ballots], genesis, chainId, height) {
  const headings = headers.map((raw, at) => readHeading(raw, ballots[at], chainId))
  const votes = new Votes(validatorsOf(genesis), genesis.batch, chainId, headings[0].header.height - 1)
  let parent = null
  for (const heading of headings) {
    check(parent === null || same(heading.header.parent, parent), 'a header follows from another one')
    votes.take(heading)
    parent = heading.header.id
  }
  check(votes.final >= height, 'its headers do not make it final')
  return headings.find(({ header }) => header.height === height).header
}

// The policy that the state holds is the one that the chain id commits to, and with it the validators, who are still the
// same.
function checkState (genesis, chainId, state) {
  const policy = state.get(entryKey('P', Buffer.from([0, 0, 0, 1])))
  check(policy, 'the policy of the genesis is not shown')
  const digest = sha256(Buffer.from('goodfaith/policy/3'), policy[0])
  check(same(genesisId(genesis, digest), chainId), 'the genesis file is of another network')
  const [, voting, , following] = state.get(entryKey('v', Buffer.alloc(0))) ?? []
  check(voting && same(encode(voting), encode(validatorsOf(genesis))) && !following.length, 'the validators are others')
}

export function validatorsOf (genesis) {
  return genesis.validators.map(({ did, weight }) => [keyOf(did), weight])
}

const entryKey = (kind, key) => hex(Buffer.concat([Buffer.from(kind), key]))
