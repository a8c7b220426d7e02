// The block tree as a picture: slots from left to right, the main chain in the first row, other branches below.

import { placeOf, svg } from './dom.js'
import { count } from './words.js'

const [SIZE, STEP, GAP, LANE, TOP, LEFT] = [36, 54, 20, 62, 18, 16]
const MAX_LANES = 6

// `blocks` are { id, height, slot, proposer, parent, main, final, votes }, any order; `votes` is [prevotes, precommits] as
// shares of what is needed, 0 to 1.
export function tree (blocks, people) {
  const placed = place(blocks)
  const byId = new Map(placed.map((block) => [block.id, block]))
  const width = placed.length ? Math.max(...placed.map(({ x }) => x)) + SIZE + LEFT : 200
  const height = TOP + (Math.max(0, ...placed.map(({ lane }) => lane)) + 1) * LANE + 2
  const links = placed.filter(({ parent }) => byId.has(parent)).map((block) => edge(byId.get(block.parent), block))
  return svg('svg', { width, height, viewBox: `0 0 ${width} ${height}`, class: 'tree', role: 'group', 'aria-label': 'Block tree, oldest first' },
    band(placed, height), links, gaps(placed), placed.map((block) => picture(block, people)))
}

function place (blocks) {
  const sorted = [...blocks].sort((one, other) => one.slot - other.slot || one.height - other.height)
  const columns = new Map()
  let x = LEFT
  let before = null
  for (const { slot } of sorted) {
    if (columns.has(slot)) continue
    if (before !== null) x += STEP + (slot > before + 1 ? GAP : 0)
    columns.set(slot, x)
    before = slot
  }
  const lanes = laneOf(sorted)
  return sorted.map((block) => ({ ...block, x: columns.get(block.slot), lane: lanes.get(block.id), y: TOP + lanes.get(block.id) * LANE }))
}

// A branch stays in one row from where it leaves; rows are used again where nothing is in the way.
function laneOf (sorted) {
  const lanes = new Map()
  const ends = []
  for (const block of sorted) {
    if (block.main) {
      lanes.set(block.id, 0)
      continue
    }
    const parents = lanes.get(block.parent) ?? 0
    const hasRow = parents > 0 && ends[parents]?.id === block.parent
    let lane = hasRow ? parents : 1
    while (!hasRow && lane < MAX_LANES && ends[lane] && ends[lane].slot >= block.slot - 1) lane++
    ends[lane] = block
    lanes.set(block.id, lane)
  }
  return lanes
}

function edge (from, to) {
  const [x1, y1, x2, y2] = [from.x + SIZE, from.y + SIZE / 2, to.x, to.y + SIZE / 2]
  const middle = x2 - 12
  return svg('path', { d: y1 === y2 ? `M${x1} ${y1}H${x2}` : `M${x1} ${y1}H${Math.max(x1, middle - 6)}C${middle} ${y1} ${middle - 6} ${y2} ${x2} ${y2}`, class: to.main ? 'edge' : 'edge side' })
}

function gaps (placed) {
  const slots = [...new Map(placed.map((block) => [block.slot, block])).values()]
  return slots.slice(1).map((block, at) => {
    const skipped = block.slot - slots[at].slot - 1
    return skipped > 0 && svg('text', { x: block.x - (STEP - SIZE + GAP) / 2, y: TOP - 6, class: 'label middle' }, `+${count(skipped)}`)
  })
}

// Under what is final there is a band.
function band (placed, height) {
  const final = placed.filter(({ final, main }) => final && main)
  if (!final.length) return null
  const end = Math.max(...final.map(({ x }) => x)) + SIZE + 6
  return svg('rect', { x: 2, y: TOP - 8, width: end - 2, height: LANE - 2, rx: 10, class: 'final' })
}

function picture (block, people) {
  const state = block.final && block.main ? 'final' : block.main ? 'not final yet' : 'on another branch'
  const words = `${people.letter(block.proposer)}${count(block.height)}, slot ${count(block.slot)}, by ${people.text(block.proposer)}, ${state}`
  const [prevotes, precommits] = block.votes ?? [0, 0]
  const share = block.final ? 1 : Math.min(1, (Math.min(1, prevotes) + Math.min(1, precommits)) / 2)
  const kind = ['block', people.colour(block.proposer), block.main ? '' : 'lost', share >= 1 ? 'full' : ''].join(' ')
  return svg('a', { href: placeOf(['block', block.id]), class: kind, 'aria-label': words, 'data-key': block.id },
    svg('rect', { x: block.x, y: block.y, width: SIZE, height: SIZE, rx: 9, class: 'box' }),
    svg('rect', { x: block.x, y: block.y + SIZE * (1 - share), width: SIZE, height: SIZE * share, rx: Math.min(9, SIZE * share / 2), class: 'level' }),
    svg('text', { x: block.x + SIZE / 2, y: block.y + 23, class: share >= 1 ? 'letter over' : 'letter' }, people.letter(block.proposer)),
    svg('text', { x: block.x + SIZE / 2, y: block.y + SIZE + 13, class: 'label middle' }, count(block.height)))
}
