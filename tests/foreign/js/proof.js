// A proof of where a key stands (protocol 3.5), checked with the genesis alone, also where the validators changed.

import { bigEndian, check, concat, hex, same, utf8 } from './bytes.js'
import { Electorate, ValidatorSet } from './electorate.js'
import { decode, encode } from './encoding.js'
import { sha256 } from './hashing.js'
import { isShown, readHeading, readWeights } from './ledger.js'
import { Votes } from './votes.js'

const FORMAT = 2n

export function genesisId (genesis, policyDigest) {
  const numbers = [genesis.genesis_time_ms, genesis.slot_ms, genesis.batch, genesis.heartbeat_slots, genesis.max_expiry_blocks]
  return sha256(utf8('goodfaith/genesis/1'), encode([1, utf8(genesis.name), numbers, validatorsOf(genesis), policyDigest]))
}

export function keyOf (did) {
  const letters = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  let number = 0n
  for (const letter of did.slice('did:key:z'.length)) number = number * 58n + BigInt(letters.indexOf(letter))
  const bytes = bigEndian(number, 34)
  check(bytes[0] === 0xed && bytes[1] === 0x01, 'not the did:key of an Ed25519 key')
  return bytes.subarray(2)
}

export function validatorsOf (genesis) {
  return genesis.validators.map(({ did, weight }) => [keyOf(did), weight])
}

export function electorateOf (genesis) {
  return new Electorate(1, new ValidatorSet(validatorsOf(genesis)))
}

// Votes as they are before the first block.
export function votesOf (genesis, chainId) {
  const votes = new Votes(electorateOf(genesis), genesis.batch, chainId)
  votes.tip = { id: chainId, slot: 0 }
  return votes
}

// What it shows of the owner of the key `wanted`. `policyDigest` is that of the policy of the genesis; it is needed where
// another policy is in force, which then is what the file shows.
export async function checkProof (file, genesis, chainId, wanted, policyDigest = null) {
  const [format, id, key, height, runs, entries] = decode(file)
  check(format === FORMAT && same(id, chainId) && same(key, wanted), 'a proof about something else')
  const final = await finalHeading(runs, genesis, chainId, Number(height))
  const state = new Map()
  for (const [at, isThere, value, path] of entries) {
    check(await isShown(final.header.stateRoot, at, isThere ? value : null, path), `the entry ${hex(at)} is not under the state root`)
    state.set(hex(at), isThere ? decode(value) : null)
  }
  await checkGenesis(genesis, chainId, state, policyDigest)
  checkInForce(final, shown(state, 'v'))
  const account = shown(state, 'n', wanted)
  const identity = account?.[1].length ? account[1] : wanted
  return {
    height: final.header.height,
    headId: hex(final.header.id),
    stateRoot: hex(final.header.stateRoot),
    nonce: account ? Number(account[0]) : null,
    isMember: shown(state, 'm', identity) !== null
  }
}

// The header that the runs make final, and who was in force at it.
async function finalHeading (runs, genesis, chainId, height) {
  let electorate = electorateOf(genesis)
  let start = 1
  for (const [number, run] of runs.entries()) {
    const { votes, headings, inForce } = await counted(run, electorate, genesis.batch, chainId)
    check(headings[0].header.height >= start, 'runs of headers that are not in order')
    if (number === runs.length - 1) {
      const at = headings.findIndex(({ header }) => header.height === height)
      check(at >= 0 && votes.final >= height, 'its headers do not make it final')
      return { ...headings[at], electorate: inForce[at] }
    }
    const decided = headings.filter(({ ballot }) => changesVoters(ballot)).map(({ header }) => header.height)
    check(decided.length && votes.electorate.phase === null && votes.final >= decided.at(-1), 'a run ends before what it decided is final')
    electorate = votes.electorate
    start = votes.height + 1
  }
  throw new Error('a proof without headers')
}

async function counted ([headers, ballots], electorate, batch, chainId) {
  check(headers.length && headers.length === ballots.length, 'as many ballots as headers')
  const headings = await Promise.all(headers.map((raw, at) => readHeading(raw, ballots[at], chainId)))
  const votes = new Votes(electorate, batch, chainId, headings[0].header.height - 1)
  const inForce = []
  for (const heading of headings) {
    await votes.take(heading)
    inForce.push(votes.rows.get(votes.height).electorate)
  }
  return { votes, headings, inForce }
}

export function changesVoters ({ decision: { following, barred, renewed }, restart }) {
  return following !== null || barred !== null || renewed.length > 0 || restart !== null
}

// The chain id commits to the policy of the genesis, and with it to the file that names the validators.
async function checkGenesis (genesis, chainId, state, policyDigest) {
  const policy = state.get(entryKey('P', Uint8Array.of(0, 0, 0, 1)))
  const digest = policy ? await sha256(utf8('goodfaith/policy/3'), policy[0]) : policyDigest
  check(digest, 'the policy of the genesis is not shown, and its digest is not known')
  check(same(await genesisId(genesis, digest), chainId), 'the genesis file is of another network')
}

// The validators that were counted are those that the state says, and so is what is decided about them.
function checkInForce ({ header, ballot: { decision }, electorate }, entry) {
  const [seats, voting, , following, , , tags] = entry ?? []
  const decided = electorate.phase ? electorate.phase.following.weights : decision.following ?? []
  const barred = decision.barred ? decision.barred.map(hex) : electorate.barred
  const known = new Map([...electorate.tags].map(([key, { tag }]) => [key, tag]))
  for (const [key, tag] of decision.renewed) known.set(hex(key), hex(tag))
  const isRight = entry &&
    same(encode(readWeights(voting)), encode(electorate.current.weights)) &&
    same(encode(readWeights(following)), encode(decided)) &&
    seats.filter(([, , isJailed]) => isJailed).map(([key]) => hex(key)).join() === barred.join() &&
    tags.length === known.size && tags.every(([key, tag]) => known.get(hex(key)) === hex(tag))
  check(isRight, `other validators were in force at height ${header.height}`)
}

function shown (state, kind, key = new Uint8Array(0)) {
  const at = entryKey(kind, key)
  check(state.has(at), `the entry ${at} is missing`)
  return state.get(at)
}

const entryKey = (kind, key) => hex(concat(utf8(kind), key))
