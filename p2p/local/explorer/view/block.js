// One block: what it holds, and what it says about the votes.

import { el, facts, link, section, table } from '../dom.js'
import { count, plural, short, time } from '../words.js'

export async function open ({ node, people, live }, main, name) {
  const block = await node.json(`/blocks/${encodeURIComponent(name)}`)
  const known = live.follower?.at(block.height)?.header
  const isChecked = known?.id === block.id
  main.append(el('h1', {}, `Block ${count(block.height)}`),
    el('p', { class: 'lead' }, people.link(block.proposer), ` made it in slot ${count(block.slot)}, ${time(block.time)}. `,
      block.main === false ? 'It is not on the main chain: another branch won.' : block.final ? 'It is final.' : 'It is not final yet.', ' ',
      el('span', { class: isChecked ? 'tick' : 'quiet' }, isChecked ? '✓ signature, leader and votes checked here' : '○ only heard: it is outside what was counted here')),
    section('Header', facts([
      ['Id', el('code', {}, block.id)],
      ['Parent', link(['block', block.parent], short(block.parent))],
      ['Its maker spoke before at', `height ${count(block.mhg)}`],
      ['Prevoted on its branch', `up to height ${count(block.mhp)}`],
      ['State after it', el('code', {}, short(block.state_root))],
      ['Transactions', el('code', {}, short(block.transaction_root))]
    ])),
    section('Transactions', table(plural(block.transactions?.length ?? 0, 'transaction'), [
      ['What', ({ kind }) => kind],
      ['By', ({ actor }) => people.link(actor)],
      ['Nonce', ({ nonce }) => count(nonce), 'right'],
      ['Id', ({ id }) => link(['tx', id], short(id))]
    ], (block.transactions ?? []).slice(0, 500), { empty: 'It holds none: its maker showed that the chain lives, or carried votes.' })),
    section('Attestations', table('Who stands behind which earlier block, as this one carries it', [
      ['By', ({ speaker }) => people.link(speaker)],
      ['Height', ({ height }) => link(['block', String(height)], count(height)), 'right'],
      ['Spoke before at', ({ mhg }) => count(mhg), 'right']
    ], block.ballot?.attestations ?? [], { empty: 'It carries none.' })))
  decided(block, people, main)
}

function decided ({ ballot }, people, main) {
  const decision = ballot?.decision
  if (!decision?.following?.length && !decision?.barred?.length && !ballot?.restart) return
  main.append(section('What it decides', facts([
    decision.following?.length > 0 && ['Next validators', decision.following.map(({ validator, weight }) => el('span', { class: 'key' }, people.link(validator), ` ${count(weight)}`))],
    decision.barred?.length > 0 && ['Makes no blocks any more', decision.barred.flat().map((did) => people.link(did))],
    ballot.restart && ['Restart', `people agreed to let the chain go on from height ${count(ballot.restart.height)}`]
  ])))
}
