// One transaction: where it is, and whether that can be checked.

import * as inspection from '../check/inspection.js'
import { el, facts, link, section } from '../dom.js'
import { count, short } from '../words.js'
import { stamp } from '../stamp.js'

const STATES = { waiting: 'It waits for a block.', included: 'It is in a block that is not final yet.', final: 'It is final.', unknown: 'This node does not know it.' }

export async function open ({ node, people, live }, main, id) {
  const told = await node.json(`/transactions/${encodeURIComponent(id)}`)
  const { transaction } = told
  main.append(el('h1', {}, transaction ? transaction.kind : 'Transaction'), el('p', { class: 'lead' }, STATES[told.state] ?? told.state, ' ', await checked(live, told, id)))
  if (transaction) main.append(section('What it says', facts(Object.entries(transaction).map(([name, value]) => [name.replaceAll('_', ' '), shown(value, people)]))))
  if (told.block) {
    main.append(section('Where it is', facts([
      ['Block', link(['block', told.block], `${count(told.height)} (${short(told.block)})`)],
      ['Place', `number ${count(told.index + 1)} of ${count(told.count)}`],
      ['Path to the root', `${told.path.length} hashes`]
    ])))
  }
}

async function checked (live, told, id) {
  if (!told.raw || !live.follower) return stamp(null)
  await inspection.transaction(live.follower, live.findings, told, id)
  return stamp(live.findings.of(`transaction ${id}`))
}

// Whatever it holds, as text; keys become links.
export function shown (value, people) {
  if (typeof value === 'string' && value.startsWith('did:key:z')) return people.link(value)
  if (Array.isArray(value)) return value.length ? value.map((item) => el('div', {}, shown(item, people))) : '–'
  if (value && typeof value === 'object') return facts(Object.entries(value).map(([name, item]) => [name.replaceAll('_', ' '), shown(item, people)]))
  if (value === null || value === undefined || value === '') return '–'
  return typeof value === 'number' ? count(value) : typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value)
}
