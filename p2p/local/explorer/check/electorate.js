// Who leads, votes and speaks at a height of one branch, and how that changes (protocol 5.3).

import { check } from './bytes.js'
import { NO_TAG } from './blocks.js'

const GATE_BLOCKS = 128

export class ValidatorSet {
  constructor (weights) {
    this.weights = weights
    this.byKey = new Map(weights)
    this.leaders = weights.filter(([, weight]) => weight).map(([key]) => key)
    this.total = weights.reduce((sum, [, weight]) => sum + weight, 0)
    this.threshold = Math.floor(2 * this.total / 3) + 1
    check(this.total > 0 && this.byKey.size === weights.length && weights.length <= 256, 'these cannot be validators')
  }

  leader (slot) {
    return this.leaders[slot % this.leaders.length]
  }

  isEnough (keys) {
    let weight = 0
    for (const key of keys) weight += this.byKey.get(key) ?? 0
    return weight >= this.threshold
  }
}

// `phase` is null, or what is under way: { kind: 'gate' or 'joint', since, following }.  `tags` are those of keys that
// lost their signing states: key -> { tag, height }.
export class Electorate {
  constructor (current, phase = null, barred = [], tags = new Map()) {
    Object.assign(this, { current, phase, barred, tags })
    this.sets = phase?.kind === 'joint' ? [current, phase.following] : [current]
    this.allSets = phase ? [current, phase.following] : [current]
    this.voters = new Set(this.sets.flatMap(({ leaders }) => leaders))
    this.speakers = new Set(this.allSets.flatMap(({ leaders }) => leaders))
  }

  leader (slot) {
    return this.current.leader(slot)
  }

  isEnough (keys) {
    return this.sets.every((each) => each.isEnough(keys))
  }

  tag (key) {
    return this.tags.get(key) ?? { tag: NO_TAG, height: 0 }
  }

  with (changes) {
    const { current, phase, barred, tags } = { ...this, ...changes }
    return new Electorate(current, phase, barred, tags)
  }

  // The validators at the height after `height`: `shown` is what that block shows final, `spoke` who spoke since the gate.
  after (height, shown, spoke, decision) {
    const { following, barred, tags } = decision
    const changed = following.length || barred.length || tags.length ? this.decided(height, decision) : this
    const phase = this.phase
    if (phase?.kind === 'joint' && shown >= phase.since) return changed.with({ current: phase.following, phase: null })
    if (phase?.kind === 'gate' && this.isPassed(spoke)) {
      return changed.with({ phase: { kind: 'joint', since: height + 1, following: phase.following } })
    }
    if (phase?.kind === 'gate' && height - phase.since >= GATE_BLOCKS) return changed.with({ phase: null })
    return changed
  }

  isPassed (spoke) {
    const { following } = this.phase
    const rising = following.weights.filter(([key, weight]) => weight > (this.current.byKey.get(key) ?? 0))
    return following.isEnough(spoke) && rising.every(([key]) => spoke.has(key))
  }

  decided (height, { following, barred, tags }) {
    check(!following.length || !this.phase, 'another set of validators is under way')
    const renewed = new Map(this.tags)
    for (const [key, tag] of tags) renewed.set(key, { tag, height })
    return this.with({
      phase: following.length ? { kind: 'gate', since: height, following: new ValidatorSet(following) } : this.phase,
      barred: barred.length ? barred[0] : this.barred,
      tags: renewed
    })
  }
}
