// The members: by tier, and the best of them.

import { el, replace, section, table } from '../dom.js'
import { count, plural, signed } from '../words.js'

const SHOWN = 50
const REFRESH_MS = 3_000

export async function open ({ node, people, isOpen }, main) {
  const [tiers, top, policy] = await Promise.all([node.find('/tiers'), node.find(`/top?limit=${SHOWN}`), node.json('/policy')])
  const rows = el('div', {})
  const tierNames = (tiers?.tiers ?? policy.policy.tier.map(({ name, from }) => ({ tier: name, from }))).map((row) => ({ ...row, tier: row.tier ?? row.name }))
  main.append(el('h1', {}, 'Members'),
    section('Tiers', table('How many members each tier has', [
      ['Tier', ({ tier }) => el('span', { class: 'tier' }, tier)],
      ['Score from', ({ from, threshold, tier }) => count(from ?? threshold ?? policy.policy.tier.find(({ name }) => name === tier)?.from), 'right'],
      ['Members', ({ members }) => count(members), 'right']
    ], tierNames, { isQuiet: true }), tiers?.rescored_to && el('p', { class: 'quiet' }, 'A new policy is being applied: ranks and tiers are still of both.')),
    section('Standing', rows))
  draw(await asked(node, top))
  let at = Date.now()
  return {
    update: async (what) => {
      if (what !== 'blocks' || Date.now() - at < REFRESH_MS) return
      at = Date.now()
      const list = await asked(node, await node.find(`/top?limit=${SHOWN}`)).catch(() => null) // it may be away for the moment
      if (list && isOpen()) draw(list)
    }
  }

  function draw (list) {
    replace(rows, table(plural(list.length, 'member'), [
      ['Member', ({ member }) => people.link(member)],
      ['Score', ({ score }) => count(score), 'right'],
      ['Tier', ({ tier }) => el('span', { class: 'tier' }, tier)],
      ['From records', ({ record_points: points }) => signed(points ?? 0), 'right'],
      ['Suspended', ({ suspended }) => count(suspended), 'right']
    ], list, { isQuiet: true, empty: 'Nobody is enrolled yet.', key: ({ member }) => member }))
  }
}

// The best, or where the node does not rank them, the first.
async function asked (node, top) {
  const best = top?.members ?? top?.top ?? []
  return best.length ? best : (await node.json(`/members?limit=${SHOWN}`)).members
}
