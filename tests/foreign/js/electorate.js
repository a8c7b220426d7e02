// Who leads, votes and speaks at a height of one branch, and how that changes (protocol 5.2, 5.3, 3.6).

import { check, hex } from './bytes.js'

const GATE_BLOCKS = 128
const NO_TAG = '00'.repeat(16)

// Keys and tags are hexadecimal in here, since a map cannot be asked for bytes.
export class ValidatorSet {
  constructor (weights) {
    this.weights = weights
    this.byKey = new Map(weights.map(([key, weight]) => [hex(key), weight]))
    this.leaders = [...this.byKey].filter(([, weight]) => weight).map(([key]) => key)
    this.threshold = Math.floor(2 * this.weigh(this.byKey.keys()) / 3) + 1
  }

  weightOf (key) {
    return this.byKey.get(key) ?? 0
  }

  weigh (keys) {
    return [...keys].reduce((sum, key) => sum + this.weightOf(key), 0)
  }

  isEnough (keys) {
    return this.weigh(keys) >= this.threshold
  }
}

// `current` decides since the height `start`. A `phase` is null, or says that `following`, decided at the height `since`,
// is waited for (`isJoint` is false), or decides too from that height on.
export class Electorate {
  constructor (start, current, phase = null, barred = [], tags = new Map()) {
    Object.assign(this, { start, current, phase, barred, tags })
    this.sets = phase?.isJoint ? [current, phase.following] : [current]
    this.voters = withWeight(this.sets)
    this.speakers = withWeight(phase === null ? [current] : [current, phase.following])
  }

  leader (slot) {
    return this.current.leaders[slot % this.current.leaders.length]
  }

  // With which tag a key speaks, and since which height.
  tag (key) {
    return this.tags.get(key) ?? { tag: NO_TAG, height: 0 }
  }

  isEnough (keys) {
    return this.sets.every((each) => each.isEnough(keys))
  }

  // Those at the height after `height`, whose block showed `final` final; `spoke` are those who spoke since the gate.
  after (height, final, spoke, decision) {
    const { phase, barred, tags } = this.decided(height, decision)
    const was = this.phase
    if (was?.isJoint && final >= was.since) return new Electorate(height + 1, was.following, null, barred, tags)
    if (was && !was.isJoint && this.isPassed(was, spoke)) {
      return new Electorate(this.start, this.current, { isJoint: true, since: height + 1, following: was.following }, barred, tags)
    }
    const isLapsed = was && !was.isJoint && height - was.since >= GATE_BLOCKS
    const isSame = phase === was && barred === this.barred && tags === this.tags
    return isSame && !isLapsed ? this : new Electorate(this.start, this.current, isLapsed ? null : phase, barred, tags)
  }

  isPassed ({ following }, spoke) {
    const rising = [...following.byKey].filter(([key, weight]) => weight > this.current.weightOf(key))
    return following.isEnough(spoke) && rising.every(([key]) => spoke.has(key))
  }

  decided (height, { following, barred, renewed }) {
    check(following === null || this.phase === null, 'another set of validators is under way')
    const tags = renewed.length ? new Map([...this.tags, ...renewed.map(([key, tag]) => [hex(key), { tag: hex(tag), height }])]) : this.tags
    const phase = following === null ? this.phase : { isJoint: false, since: height, following: new ValidatorSet(following) }
    return { phase, barred: barred === null ? this.barred : barred.map(hex), tags }
  }
}

function withWeight (sets) {
  return new Set(sets.flatMap((each) => each.leaders))
}
