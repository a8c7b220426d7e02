// Headers, ballots, attestations and transactions as they are signed (protocol 1.3, 2).

import { check, hex, join, same, unhex, utf8 } from './bytes.js'
import { decode } from './codec.js'
import { sha256 } from './sha256.js'

const SIGNATURE_BYTES = 64
export const NO_TAG = '00'.repeat(16)

// Keys, ids and tags are hexadecimal from here on: they are looked up more often than hashed.
function signed (raw, tag, chainId, signatures, what, read) {
  const payload = raw.subarray(0, -SIGNATURE_BYTES)
  const item = { raw, id: hex(sha256(raw)), ...read(decode(payload)) }
  const message = join(utf8(tag), unhex(chainId), payload)
  signatures.add(unhex(item.signer), message, raw.subarray(-SIGNATURE_BYTES), `${what} is not signed by whom it names`)
  return item
}

export function readHeader (raw, chainId, signatures) {
  return signed(raw, 'goodfaith/block/1', chainId, signatures, 'a header', (fields) => {
    check(fields.length === 11 && fields[0] === 2, 'not a header')
    const [, height, slot, parent, signer, tag, mhg, mhp, votesRoot, transactionRoot, stateRoot] = fields
    check([height, slot, mhg, mhp].every(Number.isSafeInteger), 'not a header')
    return {
      height, slot, parent: hex(parent), signer: hex(signer), tag: hex(tag), mhg, mhp,
      votesRoot: hex(votesRoot), transactionRoot: hex(transactionRoot), stateRoot: hex(stateRoot)
    }
  })
}

export function readAttestation (raw, chainId, signatures) {
  return signed(raw, 'goodfaith/attestation/1', chainId, signatures, 'an attestation', ([version, signer, tag, tip, height, mhg, mhp]) => {
    check(version === 1, 'not an attestation')
    return { signer: hex(signer), tag: hex(tag), tip: hex(tip), height, mhg, mhp }
  })
}

export function readTransaction (raw, chainId, signatures) {
  return signed(raw, 'goodfaith/transaction/1', chainId, signatures, 'a transaction', ([kind, signer, nonce, expiry]) => {
    return { kind, signer: hex(signer), nonce, expiry }
  })
}

// A header and the ballot that it commits to.
export function readHeading (rawHeader, rawBallot, chainId, signatures) {
  const header = readHeader(rawHeader, chainId, signatures)
  check(hex(sha256(rawBallot)) === header.votesRoot, 'a header commits to another ballot')
  return { header, ballot: readBallot(rawBallot) }
}

function readBallot (raw) {
  const [attestations, [following, barred, tags], restarts] = decode(raw)
  return {
    attestations: attestations.map(([height, speaker, mhg, signature]) => ({ height, speaker: hex(speaker), mhg, signature })),
    decision: {
      following: weights(following),
      barred: barred.map((keys) => keys.map(hex)),
      tags: tags.map(([key, tag]) => [hex(key), hex(tag)])
    },
    restart: restarts.length ? readRestart(restarts[0]) : null
  }
}

export const weights = (rows) => rows.map(([key, weight]) => [hex(key), weight])

function readRestart ([tip, height, salt, signatures]) {
  return { tip: hex(tip), height, salt, signatures: signatures.map(([key, signature]) => [hex(key), signature]) }
}

export function readBlock (raw, chainId, signatures) {
  const [header, ballot, body] = decode(raw)
  const heading = readHeading(header, ballot, chainId, signatures)
  const transactions = body.map((item) => readTransaction(item, chainId, signatures))
  const root = merkleRoot(transactions.map(({ id }) => unhex(id)))
  check(hex(root) === heading.header.transactionRoot, 'a header commits to other transactions')
  return { ...heading, transactions }
}

// ----------------------------------------------------------------- the tree over a block's transactions (protocol 1.4)

const leaf = (id) => sha256(Uint8Array.of(0), id)
const inner = (left, right) => sha256(Uint8Array.of(1), left, right)

export function merkleRoot (ids) {
  if (ids.length === 0) return sha256()
  if (ids.length === 1) return leaf(ids[0])
  const split = splitOf(ids.length)
  return inner(merkleRoot(ids.slice(0, split)), merkleRoot(ids.slice(split)))
}

// Whether a transaction stands at an index among so many under a root: RFC 6962, section 2.1.1.
export function isInBlock (root, id, index, count, path) {
  check(Number.isSafeInteger(index) && index >= 0 && index < count && path.length <= 64, 'not a path')
  return same(climb(leaf(id), index, count, [...path]), root)
}

function climb (node, index, count, path) {
  if (count === 1) {
    check(path.length === 0, 'too long a path')
    return node
  }
  const sibling = path.pop()
  check(sibling?.length === 32, 'too short a path')
  const split = splitOf(count)
  return index < split ? inner(climb(node, index, split, path), sibling) : inner(sibling, climb(node, index - split, count - split, path))
}

function splitOf (count) {
  let split = 1
  while (2 * split < count) split *= 2
  return split
}
