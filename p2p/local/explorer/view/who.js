// One key: a member and why she stands where she stands, an office, or a validator.

import { scores } from '../chart.js'
import * as inspection from '../check/inspection.js'
import { el, facts, link, replace, section, table } from '../dom.js'
import { stamp } from '../stamp.js'
import { capital, count, plural, short, signed, time } from '../words.js'
import { authority } from './offices.js'

const STATUS = {
  standing: 'stands',
  'repair asked': 'stands; repair was asked for',
  'repair referred': 'stands; the refusal of a repair goes before an arbiter',
  'repair before an arbiter': 'stands; an arbiter decides on its repair',
  objected: 'objected to: the office has to answer',
  maintained: 'objected to, and the office maintains it',
  'before an arbiter': 'before an arbiter'
}

export async function open ({ node, people, live, isOpen }, main, key) {
  const path = encodeURIComponent(key)
  const [told, offices, validators, policy] = await Promise.all([
    node.find(`/members/${path}/explanation`), node.find('/authorities'), node.find('/validators'), node.json('/policy')
  ])
  const office = offices?.authorities?.find((each) => each.authority === key || each.first_key === key)
  const seat = validators?.validators?.find(({ validator }) => validator === key)
  const name = people.names.get(key)
  main.append(el('h1', {}, name ?? (told ? 'Member' : office ? 'Office' : seat ? 'Validator' : 'Key')), el('p', { class: 'id' }, el('code', {}, key)))
  if (!told && !office && !seat) main.append(el('p', {}, 'No member, office or validator has this key.'))
  if (told) await member(told, main, { node, people, live, policy: policy.policy, isOpen }, key)
  if (office) main.append(authority(office, offices, people))
  if (seat) main.append(section('Validator', facts([['Weight', count(seat.weight)], ['Status', seat.status], ['Blocks', count(seat.blocks)], ['Last at height', count(seat.last_height)]])))
  return told && { update: (what) => what === 'trust' && live.findings.of(`member ${key}`)?.state === 'heard' && again(live, told, key, main) }
}

async function member (told, main, context, key) {
  const { people, policy, live } = context
  const verdict = el('div', { class: 'verdict' }, stamp(null))
  main.append(section('Standing', el('div', { class: 'standing' },
    el('div', { class: 'score' }, el('strong', {}, count(told.score)), el('span', { class: 'tier' }, told.tier)),
    el('p', {}, inWords(told, policy))), verdict))
  main.append(section('Why', lines(told, people)))
  if (told.attributes?.length) main.append(section('Attested', attested(told.attributes, people)))
  const open = told.lines.filter((line) => line.kind === 'record' && (line.waits_for || line.status !== 'standing'))
  main.append(section('What is open', open.length || told.annulment ? el('ul', { class: 'open' }, told.annulment && el('li', {}, ...doubt(told.annulment, people)), open.map((line) => el('li', {}, ...waiting(line, people)))) : el('p', { class: 'quiet' }, 'Nothing: no objection, no repair, no appeal.')))
  const past = el('div', {}, el('p', { class: 'quiet' }, 'Asking for what happened…'))
  main.append(section('How it came about', past))
  history(past, told, key, context)
  await verify(live, told, key, verdict)
}

function inWords (told, { tier: tiers }) {
  const at = tiers.findIndex(({ name }) => name === told.tier)
  const higher = tiers[at - 1]
  const cap = told.tier_without_cap ? ` By the score alone it would be ${told.tier_without_cap}: a standing record caps it.` : ''
  const next = higher && !told.tier_without_cap ? ` ${plural(higher.from - told.score, 'point')} more lead to ${higher.name}.` : ''
  const counting = told.records ? `${plural(told.records, 'record')} ${told.records === 1 ? 'counts' : 'count'}` : 'No record counts'
  return `${counting}, ${told.suspended ? `${told.suspended} ${told.suspended === 1 ? 'is' : 'are'} suspended` : 'none is suspended'}.${cap}${next}`
}

function lines ({ lines, sum }, people) {
  const rows = [...lines, { kind: 'sum', points: sum }]
  const hasRecords = lines.some(({ kind }) => kind === 'record')
  return table('Every point of the score', [
    ['What', (line) => line.kind === 'sum' ? el('strong', {}, 'Score') : what(line)],
    ['By', ({ issuer, rater }) => issuer || rater ? people.link(issuer ?? rater) : ''],
    ['Policy', ({ policy }) => policy === undefined ? '' : `version ${policy}`, 'whole'],
    hasRecords && ['Dispute', (line) => line.kind === 'record' ? dispute(line) : ''],
    ['Points', ({ kind, points }) => el(kind === 'sum' ? 'strong' : 'span', {}, kind === 'base' || kind === 'sum' ? count(points) : signed(points)), 'right']
  ].filter(Boolean), rows, { isQuiet: true })
}

function what (line) {
  if (line.kind === 'record') {
    const was = line.counts ? '' : `, would be ${signed(line.worth)}`
    return [
      `${capital(line.category)}, record ${line.number}`,
      el('span', { class: 'small quiet' }, [line.severity, `established ${time(line.established_time)}${was}`].filter(Boolean).join(', ')),
      line.fading && el('span', { class: 'small quiet' }, line.fading)
    ]
  }
  const kinds = { base: 'What everybody begins with', 'category cap': `Cap of ${line.category}`, 'other ratings': 'All other ratings', 'ratings cap': 'Cap of all ratings', 'ratings rule': 'How ratings count', rating: `Rated: ${line.category}` }
  return kinds[line.kind] ?? line.kind
}

function dispute (line) {
  const words = STATUS[line.status] ?? line.status
  return [words, line.upheld && el('span', { class: 'small quiet' }, line.appealed ? 'appealed' : 'upheld by an arbiter'), line.tier_cap && el('span', { class: 'small quiet' }, `caps the tier at ${line.tier_cap}`)]
}

// What offices say of it until a date; points follow from none of it.
function attested (attributes, people) {
  return table('What is attested, and until when', [
    ['What', ({ attribute }) => capital(attribute)],
    ['By', ({ issuer }) => people.link(issuer)],
    ['Until', ({ expires_time: end }) => time(end)],
    ['Salted digest of the document', ({ digest }) => el('code', { title: digest }, short(digest))]
  ], attributes, { isQuiet: true })
}

function doubt (annulment, people) {
  return [
    el('strong', {}, 'Its enrolment is called void'), ' by ', people.link(annulment.registrar),
    `: ${annulment.status}${annulment.appealed ? ', on its appeal' : ''}; waits for ${annulment.waits_for} until ${time(annulment.deadline_time)} (${annulment.left} left). `,
    annulment.arbiters.length ? [annulment.arbiters.map((did) => people.link(did)), ' may rule.'] : ''
  ]
}

// What somebody still has to do, until when, and what follows where nobody does.
function waiting (line, people) {
  const end = line.deadline_time ? ` until ${time(line.deadline_time)}${line.left && line.left !== 'none' ? ` (${line.left} left)` : ''}` : ''
  return [
    el('strong', {}, `${capital(line.category)}, record ${line.number}: `), STATUS[line.status] ?? line.status,
    line.waits_for ? `; waits for ${line.waits_for}${end}` : end, '. ',
    line.arbiters?.length ? [line.arbiters.map((did) => people.link(did)), ' may rule. '] : '',
    line.counts ? 'It counts meanwhile.' : 'Its points do not count meanwhile.',
    line.waits_for ? whatFollows(line) : ''
  ]
}

function whatFollows ({ status, waits_for: who }) {
  if (who.startsWith('the end of the hearing')) return ' Then a lot is drawn among the arbiters.'
  return status.startsWith('repair') ? ' Silence repairs it.' : ' Silence ends the record.'
}

// The node executes a long chain once, and goes on from where it was each time that it is asked.
const [MAX_TRIES, AGAIN_MS] = [20, 2_000]

async function patiently (ask, isOpen) {
  for (let tries = 1; ; tries++) {
    try {
      return await ask()
    } catch (error) {
      if (![0, 503].includes(error.status) || tries === MAX_TRIES || !isOpen()) throw error
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
  }
}

async function history (place, told, key, { node, people, policy, isOpen }) {
  let found
  try {
    found = await patiently(() => node.json(`/members/${encodeURIComponent(key)}/history`), isOpen)
  } catch (error) {
    if (error.status === undefined) throw error
    return isOpen() && replace(place, el('p', { class: 'quiet' }, error.message))
  }
  if (!isOpen()) return
  const events = found.events ?? []
  const scored = events.filter(({ score }) => Number.isFinite(score))
  replace(place, scored.length > 1 && el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Score over time' }, scores(scored, policy.tier)),
    found.since_height > 0 && el('p', { class: 'quiet' }, `This node tells what happened since height ${count(found.since_height)}; its home knows all of it.`),
    table('What happened, the newest first', [
      ['Height', ({ height }) => link(['block', String(height)], count(height)), 'right'],
      ['When', ({ time: at }) => time(at)],
      ['What', ({ what, category, number }) => [capital(what), category && `: ${category}${Number.isFinite(number) && number >= 0 ? `, record ${number}` : ''}`]],
      ['By', ({ by }) => by ? people.link(by) : 'the chain'],
      ['Points', ({ points }) => points ? signed(points) : '', 'right'],
      ['Score', ({ score, tier }) => [count(score), el('span', { class: 'small quiet' }, tier)], 'right'],
      ['Transaction', ({ transaction }) => transaction ? link(['tx', transaction], short(transaction)) : '']
    ], [...events].reverse(), { empty: 'Nothing yet.' }))
}

async function verify (live, told, key, verdict) {
  if (live.follower && !live.isHopeless) {
    try {
      await inspection.member(live.follower, live.findings, key, told)
    } catch (error) {
      if (error.status === undefined) throw error
    }
  }
  replace(verdict, stamp(live.findings.of(`member ${key}`)))
}

// What was not final a moment ago may be by now.
let isAsking = false

async function again (live, told, key, main) {
  if (isAsking || live.follower.final < told.as_of_height) return
  isAsking = true
  try {
    const fresh = await live.node.json(`/members/${encodeURIComponent(key)}/explanation`)
    await verify(live, fresh, key, main.querySelector('.verdict'))
  } catch (error) {
    if (error.status === undefined) throw error
  } finally {
    isAsking = false
  }
}
