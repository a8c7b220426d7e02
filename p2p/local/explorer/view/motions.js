// The rules in force, and the motions that would change them.

import { el, facts, section, table } from '../dom.js'
import { capital, count, plural, short, signed, time } from '../words.js'

export async function open ({ node, people }, main) {
  const [motions, policy] = await Promise.all([node.json('/motions?limit=50'), node.json('/policy')])
  main.append(el('h1', {}, 'Rules'),
    section('Motions', motions.motions.length ? motions.motions.map((motion) => card(motion, people, policy.policy)) : el('p', { class: 'quiet' }, 'Nobody has proposed anything yet.')),
    inForce(policy))
}

function card (motion, people, policy) {
  return el('article', { class: `motion ${motion.status}` },
    el('h3', {}, people.named(`${motion.number}. ${capital(motion.proposes)}`)),
    el('p', {}, el('span', { class: 'tag' }, motion.status), ' proposed by ', people.link(motion.proposer), ` at height ${count(motion.height)}`,
      motion.status === 'open' && `; ${count(motion.weight_needed)} of the weight is still needed`,
      motion.awaits_consent && [', and the consent of ', people.link(motion.awaits_consent)],
      motion.status === 'open' && `, until ${time(motion.expires_time)}`, '.'),
    motion.policy && el('details', {}, el('summary', {}, 'What it would change'), changes(policy, motion.policy)),
    motion.worsens?.length > 0 && el('p', {}, el('strong', {}, 'It worsens: '), people.named(motion.worsens.join('; ')), '. Members have longer to leave first.'),
    el('p', { class: 'small' }, 'Approved by ', motion.approvals.map((did) => el('span', { class: 'key' }, people.link(did)))))
}

// Each number that is another, as [where, now, then].
function changes (now, then) {
  const rows = differing('', now, then)
  return table('What would be different', [['Rule', ([name]) => name], ['Now', ([, old]) => old], ['Then', ([, , fresh]) => fresh]], rows, { isQuiet: true, empty: 'Nothing that is in force now.' })
}

function differing (name, one, other) {
  if (JSON.stringify(one) === JSON.stringify(other)) return []
  if (Array.isArray(one) || Array.isArray(other)) return rowsDiffer(name, one ?? [], other ?? [])
  if (one && other && typeof one === 'object') return [...new Set([...Object.keys(one), ...Object.keys(other)])].flatMap((key) => differing(name ? `${name}, ${key.replaceAll('_', ' ')}` : key.replaceAll('_', ' '), one[key], other[key]))
  return [[name, text(one), text(other)]]
}

function rowsDiffer (name, one, other) {
  if (![...one, ...other].every((row) => row?.name)) return [[name, text(one), text(other)]]
  const names = [...new Set([...one, ...other].map((row) => row.name))]
  const by = (rows, wanted) => rows.find((row) => row.name === wanted)
  return names.flatMap((each) => {
    const [old, fresh] = [by(one, each), by(other, each)]
    return old && fresh ? differing(`${name} ${each}`, old, fresh) : JSON.stringify(old) === JSON.stringify(fresh) ? [] : [[`${name} ${each}`, old ? 'yes' : 'none', fresh ? 'yes' : 'none']]
  })
}

const text = (value) => value === undefined ? 'none' : Array.isArray(value) ? value.join(', ') : String(value)

function inForce ({ version, digest, policy, announced }) {
  return section('In force', facts([['Policy', `${policy.name}, version ${version}`], ['Digest', el('code', {}, short(digest))], ['Enrolment', policy.enrolment], ['Base', count(policy.score.base)]]),
    announced && el('p', {}, el('strong', {}, 'Announced: '), `version ${announced.version}, from ${time(announced.from_time ?? announced.time)}.`),
    table('Tiers', [['Tier', ({ name }) => el('span', { class: 'tier' }, name)], ['Score from', ({ from }) => count(from), 'right']], policy.tier),
    table('What can be recorded', [
      ['Category', ({ name }) => name],
      ['Points', ({ min, max }) => min === max ? signed(min) : `${signed(min)} to ${signed(max)}`, 'right'],
      ['Severities', ({ severities }) => severities.join(', ')],
      ['Caps the tier at', ({ tier_cap: cap }) => cap ?? ''],
      ['While disputed', ({ interim }) => interim],
      policy.category.some(({ half_life_days: days }) => days) && ['Halves every', ({ half_life_days: days }) => days ? plural(days, 'day') : '']
    ].filter(Boolean), policy.category.filter(({ closed }) => !closed), { empty: 'This policy knows no records, only ratings.' }))
}
