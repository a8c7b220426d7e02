// Peers as a graph: the nodes that are asked in a ring, and whom each is connected with.

import { svg } from './dom.js'
import { shortDid } from './words.js'

const [SIZE, RING, DOT] = [420, 150, 15]

// `nodes` are { peer_id, validator, peers: [{ peer_id, validator }], isAway }; what is known of others comes from their peers.
export function graph (nodes, people) {
  const all = new Map()
  for (const node of nodes) for (const peer of node.peers) all.set(peer.peer_id, { ...peer, isAsked: false })
  for (const node of nodes) all.set(node.peer_id, { ...node, isAsked: true })
  const placed = [...all.values()].sort((one, other) => one.peer_id < other.peer_id ? -1 : 1).map((node, at, { length }) => {
    const angle = 2 * Math.PI * at / length - Math.PI / 2
    return { ...node, x: SIZE / 2 + RING * Math.cos(angle), y: SIZE / 2 + RING * Math.sin(angle) }
  })
  const at = new Map(placed.map((node) => [node.peer_id, node]))
  const edges = new Map()
  for (const node of nodes) for (const peer of node.peers) edges.set([node.peer_id, peer.peer_id].sort().join(), [at.get(node.peer_id), at.get(peer.peer_id)])
  const words = `${placed.length} nodes and ${edges.size} connections; the same is in the table`
  return svg('svg', { viewBox: `0 0 ${SIZE} ${SIZE}`, role: 'img', 'aria-label': words, class: 'graph' },
    [...edges.values()].map(([one, other]) => svg('line', { x1: one.x, y1: one.y, x2: other.x, y2: other.y, class: 'edge' })),
    placed.map((node) => dot(node, people)))
}

function dot (node, people) {
  const name = node.validator ? people.text(node.validator) : shortDid(node.peer_id)
  const below = node.y >= SIZE / 2 ? DOT + 16 : -DOT - 8
  return svg('g', { class: `peer ${node.validator ? people.colour(node.validator) : 'vx'}${node.isAway ? ' away' : ''}${node.isAsked ? ' asked' : ''}` },
    svg('circle', { cx: node.x, cy: node.y, r: DOT, class: 'box' }),
    svg('text', { x: node.x, y: node.y + 5, class: 'letter over' }, node.validator ? people.letter(node.validator) : '·'),
    svg('text', { x: node.x, y: node.y + below, class: 'label middle' }, name))
}
