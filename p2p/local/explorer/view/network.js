// Who is connected with whom, the validators, and what waits for a block.

import { graph } from '../graph.js'
import { el, link, replace, section, table } from '../dom.js'
import { switchesOf } from './switches.js'
import { count, permille, short, span } from '../words.js'

const REFRESH_MS = 3_000

export async function open (context, main) {
  const { node, people, live, isOpen } = context
  const switches = switchesOf(context)
  const [picture, peers, validators, pool] = [el('div', { class: 'graphbox' }), el('div', {}), el('div', {}), el('div', {})]
  main.append(el('h1', {}, 'Network'), switches.section ?? '', el('div', { class: 'two even' }, section('Peers', picture), section('Connections', peers)), section('Validators', validators), section('Waiting for a block', pool))

  async function ask () {
    const [found, seats, waiting] = await Promise.all([node.json('/peers'), node.find('/validators'), node.find('/mempool?limit=50')])
    if (!isOpen()) return
    const { status } = live
    const me = { peer_id: status.peer_id, validator: status.validator ? status.did : null, peers: found.peers }
    const others = live.others.filter(({ status }) => status).map(({ status, peers, isAway }) => ({ peer_id: status.peer_id, validator: status.validator ? status.did : null, peers: isAway ? [] : peers, isAway }))
    replace(picture, graph([me, ...others], people))
    replace(peers, peerTable(found, people))
    replace(validators, seatTable(seats?.validators ?? [], people))
    replace(pool, poolTable(waiting, people))
  }

  const again = () => ask().catch((error) => { if (error.status === undefined) throw error }) // it may be stopped just now
  await again()
  const timer = setInterval(again, REFRESH_MS)
  return { close: () => { clearInterval(timer); switches.close() }, update: () => {} }
}

function peerTable ({ peers, banned }, people) {
  const kept = Object.entries(banned ?? {})
  return [table('Connected peers', [
    ['Peer', ({ validator, peer_id: id }) => validator ? people.link(validator) : short(id)],
    ['Address', ({ address }) => address],
    ['Direction', ({ direction }) => direction === 'inbound' ? 'incoming' : 'outgoing'],
    ['Round trip', ({ rtt_ms: ms }) => span(ms), 'right'],
    ['Height', ({ height }) => count(height), 'right']
  ], peers, { isQuiet: true, empty: 'Nobody is connected.' }),
  kept.length > 0 && el('p', {}, 'Kept out: ', kept.map(([id, seconds]) => `${short(id)} for ${Math.round(seconds)} s`).join(', '))]
}

function seatTable (validators, people) {
  return table('Who makes blocks', [
    ['Validator', ({ validator }) => people.link(validator)],
    ['Weight', ({ weight }) => count(weight), 'right'],
    ['Status', ({ status }) => status],
    ['Blocks', ({ blocks }) => count(blocks), 'right'],
    ['Share', ({ share_permille: share }) => Number.isFinite(share) ? permille(share) : '–', 'right'],
    ['Last at height', ({ last_height: height }) => count(height), 'right'],
    ['Votes', ({ votes }) => votes ? 'yes' : 'no', 'right']
  ], validators, { isQuiet: true })
}

function poolTable (pool, people) {
  return [el('p', { class: 'quiet' }, pool ? `${count(pool.waiting)} waiting, ${count(pool.ready)} of them ready for the next block; ${count(pool.bytes)} of ${count(pool.max_bytes)} bytes.` : 'This node does not tell.'),
    table('Transactions in the order in which they came', [
      ['What', ({ kind }) => kind],
      ['By', ({ actor }) => people.link(actor)],
      ['Nonce', ({ nonce }) => count(nonce), 'right'],
      ['Id', ({ id }) => link(['tx', id], short(id))]
    ], pool?.transactions ?? [], { isQuiet: true, empty: 'Nothing waits.' })]
}
