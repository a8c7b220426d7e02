// What blocks say, and the tree over the state, written from scripts/docs/protocol.md and wire.md alone.

import { bigEndian, check, compare, concat, same, utf8 } from './bytes.js'
import { decode } from './encoding.js'
import { isSigned, sha256 } from './hashing.js'

const SIGNATURE_BYTES = 64
const BUCKET_BYTES = 8 * 64

// ---------------------------------------------------------------------------------- what is signed (protocol 1.3)

async function signed (raw, tag, chainId, read) {
  const payload = raw.subarray(0, -SIGNATURE_BYTES)
  const item = { raw, id: await sha256(raw), ...read(decode(payload)) }
  check(await isSigned(item.signer, concat(utf8(tag), chainId, payload), raw.subarray(-SIGNATURE_BYTES)), `${tag} is not signed`)
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

export async function merkleRoot (ids) {
  if (ids.length === 0) return sha256()
  if (ids.length === 1) return sha256(Uint8Array.of(0), ids[0])
  let split = 1
  while (2 * split < ids.length) split *= 2
  return sha256(Uint8Array.of(1), await merkleRoot(ids.slice(0, split)), await merkleRoot(ids.slice(split)))
}

export function readWeights (rows) {
  return rows.map(([key, weight]) => [key, Number(weight)])
}

// `decision` says what the block decides about who votes: `following` is null or the next set, `barred` null or the keys
// that make no blocks from then on, `renewed` the keys that lost their signing states, each with its new tag.
export function readBallot (raw) {
  const [attestations, [following, barred, tags], restarts] = decode(raw)
  const carried = attestations.map(([height, speaker, mhg, signature]) => ({ height: Number(height), speaker, mhg: Number(mhg), signature }))
  carried.slice(1).forEach((each, at) => {
    const before = carried[at]
    check(before.height < each.height || (before.height === each.height && compare(before.speaker, each.speaker) < 0), 'attestations that are not in order')
  })
  check(restarts.length < 2 && !(restarts.length && carried.length), 'a restart stands alone')
  const restart = restarts.length ? readRestart(restarts[0]) : null
  return { carried, restart, decision: { following: following.length ? readWeights(following) : null, barred: barred.length ? barred[0] : null, renewed: tags } }
}

function readRestart ([tip, height, salt, signatures]) {
  signatures.slice(1).forEach(([key], at) => check(compare(signatures[at][0], key) < 0, 'signatures that are not in order'))
  return { tip, height: Number(height), salt, signatures }
}

export async function readHeading (header, ballot, chainId) {
  const read = await readHeader(header, chainId)
  check(same(await sha256(ballot), read.votesRoot), 'the header commits to another ballot')
  return { header: read, ballot: readBallot(ballot) }
}

export async function readBlock (raw, chainId) {
  const [header, ballot, body] = decode(raw)
  const heading = await readHeading(header, ballot, chainId)
  const transactions = await Promise.all(body.map((item) => readTransaction(item, chainId)))
  check(same(await merkleRoot(transactions.map((item) => item.id)), heading.header.transactionRoot), 'the header commits to other transactions')
  return { ...heading, transactions }
}

export async function readAnnouncement (raw, chainId) {
  const [header, ballot, joined] = decode(raw)
  check(joined.length % 32 === 0, 'ids have 32 bytes')
  const ids = Array.from({ length: joined.length / 32 }, (_, at) => joined.subarray(32 * at, 32 * at + 32))
  const heading = await readHeading(header, ballot, chainId)
  check(same(await merkleRoot(ids), heading.header.transactionRoot), 'the header commits to other transactions')
  return { ...heading, ids }
}

// -------------------------------------------------------------------------------------- the state (protocol 1.5)

// Whether an entry has this value under a state root; null says that there is none.
export async function isShown (root, key, value, path) {
  const [count, bucket, siblings] = decode(path)
  const keyHash = await sha256(key)
  const bit = (hash, depth) => (hash[depth >> 3] >> (7 - (depth & 7))) & 1
  check(bucket.length <= BUCKET_BYTES && bucket.length % 64 === 0 && siblings.length <= 256, 'not a path')
  let found = null
  let before = null
  for (let at = 0; at < bucket.length; at += 64) {
    const entryKey = bucket.subarray(at, at + 32)
    for (let depth = 0; depth < siblings.length; depth++) check(bit(entryKey, depth) === bit(keyHash, depth), 'an entry of another bucket')
    check(before === null || compare(before, entryKey) < 0, 'entries that do not ascend')
    if (same(entryKey, keyHash)) found = bucket.subarray(at + 32, at + 64)
    before = entryKey
  }
  check(siblings.length ? count > 8n : Number(count) === bucket.length / 64, 'a tree of that size has no such bucket')
  if (value === null ? found !== null : found === null || !same(found, await sha256(value))) return false
  let node = bucket.length ? await sha256(Uint8Array.of(0), bucket) : new Uint8Array(32)
  for (let depth = siblings.length - 1; depth >= 0; depth--) {
    const [left, right] = bit(keyHash, depth) ? [siblings[depth], node] : [node, siblings[depth]]
    node = await sha256(Uint8Array.of(1), left, right)
  }
  return same(await sha256(Uint8Array.of(2), bigEndian(count, 8), node), root)
}
