// The genesis file, and the id of the chain that follows from it (protocol 1.6): everything else hangs on that id.

import { hex, join, keyOf, utf8 } from './bytes.js'
import { encode } from './codec.js'
import { Electorate, ValidatorSet } from './electorate.js'
import { sha256 } from './sha256.js'

// The fields of each table of a policy, in the order in which they are encoded (chain/content/language.py).
const FIELDS = {
  policy: ['language', 'name', 'version', 'day_ms', 'enrolment', 'score', 'periods', 'authorities', 'rights', 'tier', 'severity', 'category', 'rating', 'identity', 'raters', 'quotas', 'attribute'],
  score: ['base', 'ratings_floor', 'ratings_cap'],
  periods: ['answer_days', 'ruling_days', 'repair_answer_days', 'motion_days', 'notice_days', 'retention_days',
    'bodies_days'],
  authorities: ['overturned_permille', 'overturned_minimum'],
  rights: ['lookback_days', 'hearing_days', 'appeal_days', 'disputed_days', 'window_days', 'worse_notice_days'],
  identity: ['recovery_days', 'registrar', 'annulment_days', 'leave_days', 'return_days'],
  raters: ['counting', 'aggregation', 'scale', 'rating_days', 'answer_days', 'age_days', 'least_score', 'most_given', 'least_raters'],
  quotas: ['member', 'fresh', 'fresh_days', 'office', 'registrar', 'strangers_permille'],
  tier: ['name', 'from', 'cap_records'],
  severity: ['name', 'repair_after_days', 'expires_after_days'],
  category: ['code', 'name', 'min', 'max', 'floor', 'ceiling', 'severities', 'reason', 'tier_cap', 'closed', 'interim', 'half_life_days'],
  rating: ['code', 'name', 'min', 'max', 'closed'],
  attribute: ['code', 'name', 'valid_days', 'closed']
}

// What came later is encoded only where it is not as usual: what was signed before stays what it is.
const LATER = { periods: ['bodies_days', 365], policy: ['attribute', undefined], category: ['half_life_days', 0] }

export function encodePolicy (document) {
  return encode(toWire('policy', document))
}

function toWire (name, value) {
  if (Array.isArray(value)) return value.map((item) => toWire(name, item))
  if (typeof value === 'string') return utf8(value)
  if (typeof value === 'object') return encoded(name, value).map((field) => toWire(field, value[field] ?? ''))
  return Number(value)
}

function encoded (name, value) {
  const [later, usual] = LATER[name] ?? []
  return FIELDS[name].filter((field) => field !== later || (value[field] ?? usual) !== usual)
}

// A policy as the state holds it, as the table that it was.
export function readPolicy (row) {
  return fromWire('policy', row)
}

function fromWire (name, row) {
  const text = (value) => value instanceof Uint8Array ? new TextDecoder().decode(value) : value
  const field = (key, value) => {
    if (!(key in FIELDS) || !Array.isArray(value)) return Array.isArray(value) ? value.map(text) : text(value)
    return Array.isArray(value[0]) || value.length === 0 ? value.map((item) => fromWire(key, item)) : fromWire(key, value)
  }
  const [later, usual] = LATER[name] ?? []
  return Object.fromEntries(FIELDS[name].map((key, at) => [key, key === later && row[at] === undefined ? usual : field(key, row[at])]))
}

export function policyDigest (encoded) {
  return sha256(utf8('goodfaith/policy/3'), encoded)
}

export function genesisId (genesis) {
  const numbers = [genesis.genesis_time_ms, genesis.slot_ms, genesis.batch, genesis.heartbeat_slots, genesis.max_expiry_blocks]
  const validators = genesis.validators.map(({ did, weight }) => [keyOf(did), weight])
  const fields = [1, utf8(genesis.name), numbers, validators, policyDigest(encodePolicy(genesis.policy))]
  return hex(sha256(join(utf8('goodfaith/genesis/1'), encode(fields))))
}

export function firstElectorate (genesis) {
  return new Electorate(new ValidatorSet(genesis.validators.map(({ did, weight }) => [hex(keyOf(did)), weight])))
}
