// The members: by tier, and the best of them.

import { el, replace, section, table } from '../dom.js'
import { count, plural, signed } from '../words.js'

const SHOWN = 50

export async function open ({ node, people }, main) {
  const [tiers, top, policy] = await Promise.all([node.find('/tiers'), node.find(`/top?limit=${SHOWN}`), node.json('/policy')])
  const rows = el('div', {})
  const tierNames = (tiers?.tiers ?? policy.policy.tier.map(({ name, from }) => ({ tier: name, from }))).map((row) => ({ ...row, tier: row.tier ?? row.name }))
  main.append(el('h1', {}, 'Members'),
    section('Tiers', table('How many members each tier has', [
      ['Tier', ({ tier }) => el('span', { class: 'tier' }, tier)],
      ['Score from', ({ from, threshold, tier }) => count(from ?? threshold ?? policy.policy.tier.find(({ name }) => name === tier)?.from), 'right'],
      ['Members', ({ members }) => count(members), 'right']
    ], tierNames, { isQuiet: true })),
    section('Standing', rows))
  let after = null
  let list = [...(top?.members ?? top?.top ?? [])]
  if (!list.length) ({ list, after } = await more())
  draw()

  async function more () {
    const page = await node.json(`/members?limit=${SHOWN}${after ? `&after=${encodeURIComponent(after)}` : ''}`)
    return { list: [...list, ...page.members], after: page.next }
  }

  function draw () {
    replace(rows, table(plural(list.length, 'member'), [
      ['Member', ({ member }) => people.link(member)],
      ['Score', ({ score }) => count(score), 'right'],
      ['Tier', ({ tier }) => el('span', { class: 'tier' }, tier)],
      ['From records', ({ record_points: points }) => signed(points ?? 0), 'right'],
      ['Suspended', ({ suspended }) => count(suspended), 'right']
    ], list, { isQuiet: true, empty: 'Nobody is enrolled yet.' }))
  }
}

