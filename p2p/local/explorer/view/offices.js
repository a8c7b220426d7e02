// Who may record and who may rule, and how often what they did was overturned.

import { el, facts, section, table } from '../dom.js'
import { count, permille, plural } from '../words.js'

export async function open ({ node, people }, main) {
  const [offices, arbiters, objections] = await Promise.all([node.json('/authorities'), node.find('/arbiters'), node.find('/objections?limit=50')])
  main.append(el('h1', {}, 'Offices and arbiters'),
    section('Offices', el('p', { class: 'quiet' }, suspension(offices)),
      table('Institutions', [
        ['Office', ({ authority }) => people.link(authority)],
        ['Status', ({ status, in_term: isIn }) => status === 'active' && !isIn ? 'not in its term' : status],
        ['May record', ({ categories, rights }) => list([...(Array.isArray(rights) ? rights : [rights]), ...categories])],
        ['Filed', ({ filed }) => count(filed), 'right'],
        ['Contested', ({ decided }) => count(decided), 'right'],
        ['Overturned', ({ overturned, decided }) => `${count(overturned)}${decided ? ` (${permille(1_000 * overturned / decided)})` : ''}`, 'right']
      ], offices.authorities, { isQuiet: true, empty: 'Nobody is accredited.' })),
    section('Arbiters', table('How they ruled', [
      ['Arbiter', ({ arbiter }) => people.link(arbiter)],
      ['On the roll since', ({ since_height: height }) => count(height), 'right'],
      ['Upheld', ({ upheld }) => count(upheld), 'right'],
      ['Struck', ({ struck }) => count(struck), 'right'],
      ['Silent', ({ silent }) => count(silent), 'right'],
      ['Overturned', ({ overturned }) => count(overturned), 'right']
    ], arbiters?.arbiters ?? [], { isQuiet: true, empty: 'Nobody is on the roll.' })),
    section('What waits for them', table('Disputes, the nearest deadline first', [
      ['Member', ({ member }) => people.link(member)],
      ['About', ({ category, number }) => `${category}, record ${number}`],
      ['Office', ({ issuer }) => people.link(issuer)],
      ['Waits for', ({ waits_for: who, left }) => [who ?? '–', left && el('span', { class: 'small quiet' }, `${left} left`)]],
      ['Points meanwhile', ({ counts }) => counts ? 'count' : 'suspended']
    ], objections?.records ?? [], { isQuiet: true, empty: 'No dispute is open.' })))
}

const list = (items) => items.filter(Boolean).join(', ') || '–'

function suspension ({ limit_permille: most, limit_minimum: least }) {
  if (most >= 1_000) return 'By these rules no office is suspended, however many of its records are overturned.'
  return `An office is suspended once more than ${permille(most)} of its contested records are overturned, and at least ${count(least)} were decided.`
}

export function authority (office, { limit_permille: limit }, people) {
  return section('Office', facts([
    ['Status', office.status], ['Term', office.term], ['Rights', list([].concat(office.rights))], ['Categories', list(office.categories)],
    ['Filed', `${plural(office.filed, 'record')}, ${count(office.withdrawn)} withdrawn`],
    ['Overturned of contested', `${count(office.overturned)} of ${count(office.decided)}; lately ${permille(office.overturned_permille)}, the limit is ${permille(limit)}`]
  ]), office.rulings.length > 0 && table('Its rulings', [
    ['On records of', ({ issuer }) => people.link(issuer)],
    ['Upheld', ({ upheld }) => count(upheld), 'right'],
    ['Struck', ({ struck }) => count(struck), 'right'],
    ['Silent', ({ silent }) => count(silent), 'right']
  ], office.rulings))
}
