// Small charts as SVG, each with its numbers in words beside it.

import { el, svg } from './dom.js'
import { count } from './words.js'

const [WIDTH, HEIGHT, PAD] = [320, 72, 4]

// Newest values on the right; `say` puts a value in words.
export function line (title, values, say, { isSteps = false, marks = [] } = {}) {
  const shown = values.filter((value) => Number.isFinite(value))
  const newest = shown[shown.length - 1]
  const most = Math.max(...shown, 0)
  const words = shown.length ? `now ${say(newest)}, at most ${say(most)}` : 'nothing yet'
  return el('figure', { class: 'chart' },
    el('figcaption', {}, el('span', {}, title), el('strong', {}, shown.length ? say(newest) : '–')),
    picture(`${title}: ${words}`, shown.length > 1 ? [area(shown, most), path(shown, most, isSteps), ...marks] : []))
}

function picture (words, shapes) {
  return svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': words, preserveAspectRatio: 'none' }, shapes)
}

function points (values, most) {
  const step = (WIDTH - 2 * PAD) / (values.length - 1)
  return values.map((value, at) => [PAD + at * step, HEIGHT - PAD - (most ? value / most : 0) * (HEIGHT - 2 * PAD)])
}

const written = (rows) => rows.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ')

function path (values, most) {
  return svg('polyline', { points: written(points(values, most)), class: 'curve' })
}

function area (values, most) {
  const rows = points(values, most)
  return svg('polygon', { points: `${PAD},${HEIGHT - PAD} ${written(rows)} ${WIDTH - PAD},${HEIGHT - PAD}`, class: 'under' })
}

// A score over time: `events` are { height, score, tier }, oldest first; tiers are lines across.
export function scores (events, tiers) {
  const [wide, high, left] = [720, 220, 68]
  const values = [...events.map(({ score }) => score)]
  const bounds = tiers.map(({ from }) => from).filter((from) => from > 0)
  const [low, top] = [Math.min(...values, ...near(bounds, Math.min(...values))) - 5, Math.max(...values, ...near(bounds, Math.max(...values))) + 5]
  const [first, last] = [events[0].height, Math.max(events[events.length - 1].height, events[0].height + 1)]
  const x = (height) => left + (height - first) / (last - first) * (wide - left - 12)
  const y = (score) => 12 + (top - score) / (top - low) * (high - 40)
  const steps = events.flatMap(({ height, score }, at) => at ? [[x(height), y(events[at - 1].score)], [x(height), y(score)]] : [[x(height), y(score)]])
  const lines = tiers.filter(({ from }) => from > low && from < top).flatMap(({ name, from }) => [
    svg('line', { x1: left, x2: wide - 12, y1: y(from), y2: y(from), class: 'tierline' }),
    svg('text', { x: 4, y: y(from) + 4, class: 'label' }, `${name} ${count(from)}`)
  ])
  const dots = events.map(({ height, score, what }) => svg('circle', { cx: x(height), cy: y(score), r: 3.5, class: 'dot' }, svg('title', {}, `height ${count(height)}: ${count(score)} (${what})`)))
  const words = `Score from ${count(values[0])} at height ${count(first)} to ${count(values[values.length - 1])} at height ${count(last)}`
  return svg('svg', { viewBox: `0 0 ${wide} ${high}`, role: 'img', 'aria-label': words, class: 'scores' }, lines,
    svg('polyline', { points: written(steps), class: 'curve' }), dots,
    svg('text', { x: left, y: high - 8, class: 'label' }, `height ${count(first)}`), svg('text', { x: wide - 12, y: high - 8, class: 'label end' }, count(last)))
}

// The thresholds right above and below a score.
function near (bounds, score) {
  return [Math.max(...bounds.filter((from) => from <= score), -Infinity), Math.min(...bounds.filter((from) => from > score), Infinity)].filter((from) => Number.isFinite(from) && Math.abs(from - score) < 120)
}
