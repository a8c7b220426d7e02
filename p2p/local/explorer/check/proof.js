// A proof of where a key stands (protocol 3.5), checked with the genesis alone, and the tree over the state (1.5).

import { check, compare, hex, join, same, unhex, utf8 } from './bytes.js'
import { readHeading, weights } from './blocks.js'
import { decode } from './codec.js'
import { readPolicy, firstElectorate } from './genesis.js'
import { Pace } from './pace.js'
import { sha256 } from './sha256.js'
import { judge, Votes } from './votes.js'

const BUCKET_BYTES = 8 * 64
const FORMAT = 2

export const entryKey = (kind, key) => join(utf8(kind), key)
const RULES = utf8('p')
const VALIDATORS = utf8('v')

// What follows from the file: { header, votes, entries, policy, member, records }.  Raises Wrong.
export async function checkProof (file, genesis, chainId, wanted, signatures) {
  const [format, id, key, height, runs, entries] = decode(file)
  check(format === FORMAT, 'a proof of another version')
  check(hex(id) === chainId, 'a proof of another network')
  check(same(key, wanted), 'a proof about another key')
  const pace = new Pace()
  const { counted, run } = await countRuns(runs, genesis, chainId, height, signatures, pace)
  const state = new Map()
  for (const [at, isThere, value, path] of entries) {
    check(isShown(unhex(counted.header.stateRoot), at, isThere ? value : null, path), `an entry of the state is not under its root at height ${height}`)
    state.set(hex(at), isThere ? decode(value) : null)
    await pace.step()
  }
  checkInForce(counted, entryOf(state, VALIDATORS))
  return { header: counted.header, votes: run[run.length - 1].votes, run, state, ...conclude(state, wanted) }
}

async function countRuns (runs, genesis, chainId, height, signatures, pace) {
  let electorate = firstElectorate(genesis)
  let start = 1
  let run = []
  check(runs.length > 0, 'a proof without headers')
  for (const [number, [headers, ballots]] of runs.entries()) {
    check(headers.length > 0, 'headers that are not in order')
    run = await follow(headers, ballots, electorate, genesis.batch, chainId, signatures, pace)
    check(run[0].header.height >= start, 'headers that are not in order')
    if (number === runs.length - 1) break
    check(isSettled(run), 'headers that end before what they decided is final')
    electorate = run[run.length - 1].votes.electorate
    start = run[run.length - 1].header.height + 1
  }
  const counted = run.find(({ header }) => header.height === height)
  const last = run[run.length - 1].votes
  check(counted, `no header of height ${height}`)
  check(last.final >= height, `the votes make final what is up to height ${last.final}, and not ${height}`)
  return { counted, run }
}

// Headers that follow each other, read, each with the votes after it.
async function follow (headers, ballots, electorate, batch, chainId, signatures, pace) {
  const run = []
  for (const [at, raw] of headers.entries()) {
    const heading = readHeading(raw, ballots[at], chainId, signatures)
    const before = run[at - 1]
    checkFollows(heading.header, before?.header)
    const votes = judge(heading, before?.votes ?? Votes.start(electorate, batch, heading.header.height - 1, true), chainId, signatures)
    run.push({ ...heading, votes, electorate: votes.rows[0].electorate })
    await pace.step()
  }
  return run
}

export function checkFollows (header, parent) {
  if (!parent) return
  check(header.parent === parent.id && header.height === parent.height + 1, `height ${header.height} does not follow from the header before it`)
  check(header.slot > parent.slot, `slot ${header.slot} after ${parent.slot}`)
}

function isSettled (run) {
  const decided = run.filter(({ ballot: { decision, restart } }) => decision.following.length || decision.barred.length || decision.tags.length || restart)
  const { votes } = run[run.length - 1]
  return decided.length > 0 && votes.electorate.phase === null && votes.final >= decided[decided.length - 1].header.height
}

// Whether those who were counted are those of whom the state says that they vote.
function checkInForce ({ header, ballot, electorate }, validators) {
  check(validators, 'the validators are not shown')
  const [seats, voting, , following, , , tags] = validators
  const { decision } = ballot
  const said = (rows) => JSON.stringify(rows)
  const coming = electorate.phase ? electorate.phase.following.weights : decision.following
  const inForce = new Map([...electorate.tags].map(([key, { tag }]) => [key, tag]))
  for (const [key, tag] of decision.tags) inForce.set(key, tag)
  const barred = decision.barred.length ? decision.barred[0] : electorate.barred
  const jailed = seats.filter(([, , isJailed]) => isJailed).map(([key]) => hex(key))
  const isSame = said(weights(voting)) === said(electorate.current.weights) && said(weights(following)) === said(coming) &&
    said(tags.map(([key, tag]) => [hex(key), hex(tag)]).sort()) === said([...inForce].sort()) && said(jailed) === said(barred)
  check(isSame, `other validators were in force at height ${header.height}`)
}

function entryOf (state, key) {
  check(state.has(hex(key)), 'an entry of the state that is needed is missing')
  return state.get(hex(key))
}

function conclude (state, key) {
  const rules = entryOf(state, RULES)
  check(rules, 'a state without a policy')
  const text = entryOf(state, entryKey('P', Uint8Array.of(rules[0] >>> 24, rules[0] >>> 16, rules[0] >>> 8, rules[0])))
  check(text, 'a state without a policy')
  const policy = readPolicy(decode(text[0]))
  const account = entryOf(state, entryKey('n', key))
  const identity = account && account[1].length ? account[1] : key
  const member = entryOf(state, entryKey('m', identity))
  if (!member) return { policy, identity, member: null, records: [] }
  const records = recordsOf(state, identity)
  check(records.length === member[7], `${records.length} of ${member[7]} suspended records are shown`)
  return { policy, identity, member: readMember(member), records }
}

function recordsOf (state, identity) {
  const prefix = hex(entryKey('d', identity))
  const records = [...state].filter(([at, record]) => at.startsWith(prefix) && record && isSuspended(record))
  return records.map(([at, record]) => ({ number: parseInt(at.slice(prefix.length), 16), points: record[POINTS_AT] }))
}

// An objection or an appeal is open, and the record does not count meanwhile.
const [POINTS_AT, STATUS_AT, STANDS_AT, OBJECTED] = [2, 12, 18, 4]
const isSuspended = (record) => record[STATUS_AT] >= OBJECTED && !record[STANDS_AT]

const MEMBER = ['key', 'enrolledHeight', 'ratedPoints', 'ratings', 'recordPoints', 'filed', 'standing', 'suspended', 'caps']

function readMember (row) {
  const member = Object.fromEntries(MEMBER.map((name, at) => [name, row[at]]))
  return { ...member, key: hex(member.key), raters: row[12] }
}

// ------------------------------------------------------------------------------------------- the tree over the state

const bit = (hash, depth) => (hash[depth >> 3] >> (7 - (depth & 7))) & 1

// Whether an entry has this value under the root, or none where `value` is null.
export function isShown (root, key, value, path) {
  const [count, bucket, siblings] = decode(path)
  const keyHash = sha256(key)
  check(bucket.length <= BUCKET_BYTES && bucket.length % 64 === 0 && siblings.length <= 256, 'not a path')
  const found = findIn(bucket, keyHash, siblings.length)
  check(siblings.length ? count > 8 : count === bucket.length / 64, 'a tree of that size has no such bucket')
  if (value === null ? found !== null : found === null || !same(found, sha256(value))) return false
  let node = bucket.length ? sha256(Uint8Array.of(0), bucket) : new Uint8Array(32)
  for (let depth = siblings.length - 1; depth >= 0; depth--) {
    const [left, right] = bit(keyHash, depth) ? [siblings[depth], node] : [node, siblings[depth]]
    node = sha256(Uint8Array.of(1), left, right)
  }
  const size = new Uint8Array(8)
  new DataView(size.buffer).setBigUint64(0, BigInt(count))
  return same(sha256(Uint8Array.of(2), size, node), root)
}

function findIn (bucket, keyHash, depths) {
  let found = null
  let before = null
  for (let at = 0; at < bucket.length; at += 64) {
    const entryKey = bucket.subarray(at, at + 32)
    for (let depth = 0; depth < depths; depth++) check(bit(entryKey, depth) === bit(keyHash, depth), 'an entry of another bucket')
    check(before === null || compare(before, entryKey) < 0, 'entries that do not ascend')
    if (same(entryKey, keyHash)) found = bucket.subarray(at + 32, at + 64)
    before = entryKey
  }
  return found
}

