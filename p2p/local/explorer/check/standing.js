// Where a member stands by a policy (protocol 6.3), and whether what a node explains adds up to it.

import { check } from './bytes.js'

export function standingOf (policy, member) {
  const { base, ratings_floor: floor, ratings_cap: cap } = policy.score
  const score = base + member.recordPoints + clamp(ratedOf(policy, member), floor, cap)
  return { score, tier: tierOf(policy, score, holding(policy, member.caps)) }
}

// The levels whose caps hold: each takes as many records as its tier says.
function holding ({ tier: tiers }, caps) {
  return caps.filter(([level, records]) => records >= tiers[tiers.length - 1 - level].cap_records).map(([level]) => level)
}

const clamp = (points, floor, cap) => Math.max(floor, Math.min(cap, points))

function ratedOf ({ raters }, { ratedPoints, ratings, raters: who }) {
  if (who < raters.least_raters) return 0
  if (raters.aggregation !== 'mean' || !ratings) return ratedPoints
  return Math.sign(ratedPoints) * Math.floor(Math.abs(ratedPoints) * raters.scale / ratings)
}

export function tierOf ({ tier: tiers }, score, caps = []) {
  const reached = tiers.slice(0, -1).filter(({ from }) => score >= from).length
  return tiers[tiers.length - 1 - Math.min(reached, ...caps)].name
}

// The lines of an explanation, and their sums: each category within its caps, all of them the score.
export function checkExplanation (told, policy) {
  const sum = told.lines.reduce((total, { points }) => total + points, 0)
  check(sum === told.sum && sum === told.score, `the lines add up to ${sum}, and the score is said to be ${told.score}`)
  check(told.lines[0]?.kind === 'base' && told.lines[0].points === policy.score.base, 'the base is another than the policy says')
  for (const line of told.lines) {
    if (line.kind === 'record' && !line.counts) check(line.points === 0, `record ${line.number} does not count, and is counted`)
  }
  for (const category of policy.category) {
    const lines = told.lines.filter((line) => line.category === category.name && ['record', 'category cap'].includes(line.kind))
    const records = lines.filter(({ kind }) => kind === 'record').reduce((total, { points }) => total + points, 0)
    const counted = lines.reduce((total, { points }) => total + points, 0)
    if (lines.length) check(counted === clamp(records, category.floor, category.ceiling), `${category.name} counts for ${counted}, outside its caps`)
  }
}

// In what a member's document differs from what was proven; each as [what, told, proven].
export function differences (told, { policy, member }) {
  const { score, tier } = standingOf(policy, member)
  const proven = [
    ['score', score], ['tier', tier], ['record_points', member.recordPoints], ['records', member.standing],
    ['suspended', member.suspended], ['rated_points', member.ratedPoints], ['ratings', member.ratings]
  ]
  return proven.filter(([name, value]) => told[name] !== value).map(([name, value]) => [name, told[name], value])
}
